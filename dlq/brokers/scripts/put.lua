-- Put messages from outside at the producer's end of the DLQ, each batch once, with their ledger entries.
-- KEYS 1 to  2 fence  3 lock  4 run  5 batches
-- ARGV 1 token  2 sequence  3 entries  4 lock ms  5 ledger ms  6 now ms, then the messages, oldest first
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return {'fenced'} end
if redis.call('HEXISTS', KEYS[5], ARGV[2]) == 1 then return {'already', 0} end
local kind = redis.call('TYPE', KEYS[1]).ok
if kind ~= 'list' and kind ~= 'none' then return {'wrongtype', KEYS[1]} end
local count = #ARGV - 6
-- The ledger first, since Redis does not roll a failed script back: see commit.lua.
local header = struct.pack('<I4I4i4I4I8', count, 0, 0, 0, tonumber(ARGV[6]))
redis.call('HSET', KEYS[5], ARGV[2], header .. ARGV[3])
local pushed = redis.pcall('LPUSH', KEYS[1], unpack(ARGV, 7))
if type(pushed) == 'table' and pushed.err then
  redis.call('HDEL', KEYS[5], ARGV[2])
  return pushed
end
redis.call('HSET', KEYS[4], 'sequence', ARGV[2], 'updated_at', ARGV[6])
redis.call('HINCRBY', KEYS[4], 'restored', count)
redis.call('PEXPIRE', KEYS[4], ARGV[5])
redis.call('PEXPIRE', KEYS[5], ARGV[5])
redis.call('PEXPIRE', KEYS[3], ARGV[4])
return {'done', count}
