-- Put dropped originals of a run back at the producer's end of the DLQ, and write the ledger of the undoing run.
-- KEYS 1 to  2 fence  3 lock  4 run  5 batches  6 the undone run  7 its originals
-- ARGV 1 token  2 sequence  3 entries  4 bytes an entry  5 lock ms  6 ledger ms  7 now ms, then fields of the originals
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return {'fenced'} end
local entry_size = tonumber(ARGV[4])
local done = redis.call('HGET', KEYS[5], ARGV[2])
if done then return {'already', (#done - 24) / entry_size} end
local kind = redis.call('TYPE', KEYS[1]).ok
if kind ~= 'list' and kind ~= 'none' then return {'wrongtype', KEYS[1]} end
local fields = {unpack(ARGV, 8)}
local found = redis.call('HMGET', KEYS[7], unpack(fields))
local back, entries = {}, {}
for i = 1, #fields do
  if found[i] then
    back[#back + 1] = found[i]
    entries[#entries + 1] = string.sub(ARGV[3], (i - 1) * entry_size + 1, i * entry_size)
  end
end
local header = struct.pack('<I4I4i4I4I8', #back, 0, 0, 0, tonumber(ARGV[7]))
redis.call('HSET', KEYS[5], ARGV[2], header .. table.concat(entries))
if #back > 0 then
  local pushed = redis.pcall('LPUSH', KEYS[1], unpack(back))
  if type(pushed) == 'table' and pushed.err then
    redis.call('HDEL', KEYS[5], ARGV[2])
    return pushed
  end
end
redis.call('HDEL', KEYS[7], unpack(fields))
redis.call('HSET', KEYS[4], 'sequence', ARGV[2], 'updated_at', ARGV[7])
redis.call('HINCRBY', KEYS[4], 'redriven', #back)
redis.call('HINCRBY', KEYS[6], 'rolled_back', #back)
redis.call('PEXPIRE', KEYS[5], ARGV[6])
redis.call('PEXPIRE', KEYS[3], ARGV[5])
return {'done', #back}
