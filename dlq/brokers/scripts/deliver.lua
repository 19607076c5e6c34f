-- Push the messages of a batch that left another slot, once: whoever sends it again is told so.
-- KEYS 1 list  2 arrivals   ARGV 1 field  2 ledger ms, then messages, oldest first
if redis.call('HEXISTS', KEYS[2], ARGV[1]) == 1 then return {'already'} end
local kind = redis.call('TYPE', KEYS[1]).ok
if kind ~= 'list' and kind ~= 'none' then return {'wrongtype', KEYS[1]} end
redis.call('HSET', KEYS[2], ARGV[1], #ARGV - 2)
local pushed = redis.pcall('LPUSH', KEYS[1], unpack(ARGV, 3))
if type(pushed) == 'table' and pushed.err then
  redis.call('HDEL', KEYS[2], ARGV[1])
  return pushed
end
redis.call('PEXPIRE', KEYS[2], ARGV[2])
return {'done'}
