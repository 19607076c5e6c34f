-- Take a batch of a rollback into the DLQ and its ledger, once; its messages have left another slot already.
-- The fence is not asked: what has left must arrive, whoever has the lock by now.
-- KEYS 1 dlq  2 run  3 batches  4 the run that is being undone (or the run itself)
-- ARGV 1 sequence  2 the batch as it lies in the other slot's ledger  3 messages left of the pass  4 bytes an entry
--      5 now ms  6 ledger ms, then messages, oldest first
local sequence, blob, entry_size = ARGV[1], ARGV[2], tonumber(ARGV[4])
local count = #ARGV - 6
if redis.call('HEXISTS', KEYS[3], sequence) == 1 then return {'already'} end
local kind = redis.call('TYPE', KEYS[1]).ok
if kind ~= 'list' and kind ~= 'none' then return {'wrongtype', KEYS[1]} end
local scanned, kept, arrived, wave = struct.unpack('<I4I4i4I4', blob)
if (#blob - 24) / entry_size ~= count then return {'malformed', count, #blob} end
redis.call('HSET', KEYS[3], sequence, blob)
if count > 0 then
  local pushed = redis.pcall('LPUSH', KEYS[1], unpack(ARGV, 7))
  if type(pushed) == 'table' and pushed.err then
    redis.call('HDEL', KEYS[3], sequence)
    return pushed
  end
end
local edited = 0
for i = 25, #blob, entry_size do
  if string.byte(blob, i) == 101 then edited = edited + 1 end
end
if tonumber(redis.call('HGET', KEYS[2], 'wave') or 0) ~= wave then redis.call('HSET', KEYS[2], 'wave_selected', 0) end
redis.call('HSET', KEYS[2], 'sequence', sequence, 'wave', wave, 'remaining', ARGV[3], 'updated_at', ARGV[5])
for field, by in pairs({wave_selected = count, scanned = scanned, kept = kept, redriven = count, edited = edited}) do
  if by ~= 0 then redis.call('HINCRBY', KEYS[2], field, by) end
end
if KEYS[4] ~= KEYS[2] and count > 0 then redis.call('HINCRBY', KEYS[4], 'rolled_back', count) end
redis.call('PEXPIRE', KEYS[3], ARGV[6])
redis.call('PEXPIRE', KEYS[2], ARGV[6])
return {'done'}
