-- Write the ledger of a batch that another broker has confirmed, once. The fence is not asked: it has happened.
-- KEYS 1 run  2 batches  3 posts  4 originals  5 signatures  6 the run that is being undone (or the run itself)
--      7 the notes of the run that is being undone (or of the run itself)
-- ARGV 1 sequence  2 header and entries  3 count  4 vanished  5 depth of the source  6 bytes an entry  7 now ms
--      8 ledger ms  9 what messages count as that were published: "redriven", or "restored" from outside
--      10 messages that may be duplicates  11 an older batch, whose note is no longer needed
--      12 1 if some of the batch had to come back  13 a note of the others of it then
--      14 a name for what was found of that run's copies  15 these (empty: none)
--      16 signatures S, then S times (code, text); then originals (field, original)
local run, sequence, blob, entry_size = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[6])
if redis.call('HEXISTS', KEYS[2], sequence) == 1 then return {'already'} end
local scanned, kept, _, wave = struct.unpack('<I4I4i4I4', blob)
local by = {}
for i = 25, #blob, entry_size do
  local action = string.sub(blob, i, i)
  by[action] = (by[action] or 0) + 1
end
redis.call('HSET', KEYS[2], sequence, blob)
local at = 17
for _ = 1, tonumber(ARGV[16]) do
  redis.call('HSET', KEYS[5], ARGV[at], ARGV[at + 1])
  at = at + 2
end
for i = at, #ARGV, 2 do redis.call('HSET', KEYS[4], ARGV[i], ARGV[i + 1]) end
local published = (by.m or 0) + (by.e or 0)
local selected = ARGV[9] == 'redriven' and published + (by.q or 0) + (by.d or 0) or 0
if tonumber(redis.call('HGET', run, 'wave') or 0) ~= wave then redis.call('HSET', run, 'wave_selected', 0) end
redis.call('HSET', run, 'depth', ARGV[5], 'sequence', sequence, 'wave', wave, 'updated_at', ARGV[7])
local fields = {
  wave_selected = selected, remaining = -tonumber(ARGV[3]), scanned = scanned, vanished = tonumber(ARGV[4]),
  kept = kept, [ARGV[9]] = published, edited = by.e or 0, quarantined = by.q or 0, dropped = by.d or 0,
  maybe_duplicated = tonumber(ARGV[10]),
}
for field, change in pairs(fields) do
  if change ~= 0 then redis.call('HINCRBY', run, field, change) end
end
if KEYS[6] ~= run and selected > 0 then redis.call('HINCRBY', KEYS[6], 'rolled_back', selected) end
redis.call('HDEL', KEYS[3], ARGV[11])
if ARGV[12] == '1' then -- what came back stands at the front again, and must not be taken for what was moved
  redis.call('HDEL', KEYS[3], sequence)
  if ARGV[13] ~= '' then redis.call('HSET', KEYS[3], 'suspect ' .. sequence, ARGV[13]) end
end
if ARGV[15] ~= '' then
  redis.call('HSET', KEYS[7], ARGV[14], ARGV[15])
  redis.call('PEXPIRE', KEYS[7], ARGV[8])
end
for i = 1, 5 do redis.call('PEXPIRE', KEYS[i], ARGV[8]) end
return {'done'}
