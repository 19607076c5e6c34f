-- Let a newer fencing token in, here where the fence is a copy of the one beside the DLQ.
-- KEYS 1 fence   ARGV 1 token  2 ledger ms
local known = tonumber(redis.call('GET', KEYS[1]) or 0)
if known <= tonumber(ARGV[1]) then redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) end
return known
