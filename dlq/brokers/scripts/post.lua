-- Note a batch that is about to be published by another broker, if its run may.
-- KEYS 1 fence  2 lock  3 run  4 batches  5 posts
-- ARGV 1 token  2 sequence  3 the batch's messages, packed  4 lock ms  5 ledger ms  6 bytes of a batch's header
--      7 bytes an entry
-- Answers {'posted', 1 if it was noted before}.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  local held = redis.call('HMGET', KEYS[2], 'run', 'who', 'since')
  return {'fenced', held[1] or '', held[2] or '', held[3] or ''}
end
local state = redis.call('HGET', KEYS[3], 'state')
if state ~= 'running' then return {'closed', state or ''} end
local done = redis.call('HGET', KEYS[4], ARGV[2])
if done then
  local scanned = struct.unpack('<I4', done)
  return {'already', scanned, (#done - ARGV[6]) / ARGV[7]}
end
local fresh = redis.call('HSET', KEYS[5], ARGV[2], ARGV[3])
redis.call('PEXPIRE', KEYS[5], ARGV[5])
redis.call('PEXPIRE', KEYS[2], ARGV[4])
return {'posted', 1 - fresh}
