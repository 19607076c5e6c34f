-- Close a run: its state, and fields about its end.
-- KEYS 1 fence  2 run   ARGV 1 token  2 state  3 now ms, then field, value, ...
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[2], 'state', ARGV[2], 'ended_at', ARGV[3], 'updated_at', ARGV[3], unpack(ARGV, 4))
return 1
