-- Commit one batch of a pass: move, quarantine, drop or rotate messages, and write the ledger, or do nothing.
--
-- KEYS  1 source  2 fence  3 lock  4 run  5 batches  6 originals  7 signatures
--       8 redrive-to  9 quarantine-to  10 the run that is being undone (or the run itself)
--       11 set of batches in transit, where what is pushed here has to go on into another slot
-- ARGV  1 token  2 sequence  3 count  4 actions  5 entries  6 bytes an entry  7 lock ms  8 ledger ms  9 now ms
--       10 wave  11 name of the batch in transit  12 messages beyond the batch B that the guards cover too
--       13 guards G, then G times (place, length, head, tail); then signatures S, then S times (code, text); then the
--       edited bodies, oldest first
--
-- Actions are given oldest message first: k keep, m redrive, e edit and redrive, q quarantine, d drop;
-- one letter alone stands for the whole chunk.
-- Redis does not roll a failed script back (https://redis.io/docs/latest/develop/programmability/eval-intro/),
-- so: look first, then the ledger, then the pushes, the trim last; whatever fails midway is taken back by hand.
local source, run, batches, originals = KEYS[1], KEYS[4], KEYS[5], KEYS[6]
local sequence, count, actions, entries = ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5]
local entry_size, now, wave = tonumber(ARGV[6]), tonumber(ARGV[9]), tonumber(ARGV[10])

if redis.call('GET', KEYS[2]) ~= ARGV[1] then
  local held = redis.call('HMGET', KEYS[3], 'run', 'who', 'since')
  return {'fenced', held[1] or '', held[2] or '', held[3] or ''}
end
local state = redis.call('HMGET', run, 'state', 'depth', 'remaining', 'wave')
if state[1] ~= 'running' then return {'closed', state[1] or ''} end
local done = redis.call('HGET', batches, sequence)
if done then
  local scanned, kept, arrived = struct.unpack('<I4I4i4', done)
  return {'already', scanned, 0, redis.call('LLEN', source), (#done - 24) / entry_size}
end

-- Where does the chunk that the client read lie now? Consumers may have taken some of its oldest messages, or all of
-- the batch and some beyond it.
local depth = redis.call('LLEN', source)
local beyond = tonumber(ARGV[12])
local found = redis.call('LRANGE', source, -(count + beyond), -1)
local size = #found
local guards = tonumber(ARGV[13])
local at = 14
local first = 1
if guards > 0 then
  local function same(message, base)
    local length = tonumber(ARGV[base + 1])
    if #message ~= length then return false end
    if length <= 256 then return message == ARGV[base + 2] end
    return string.sub(message, 1, 128) == ARGV[base + 2] and string.sub(message, -128) == ARGV[base + 3]
  end
  first = 0
  for i = 1, size do
    if same(found[i], at) then first = i break end
  end
  if first == 0 then return {'disturbed'} end
  for g = 1, guards - 1 do
    local base = at + 4 * g
    local i = first + tonumber(ARGV[base])
    if i <= size and not same(found[i], base) then return {'disturbed'} end
  end
end
at = at + 4 * guards
first = first + beyond
local present = math.max(0, size - first + 1)
local popped = count - present -- of the batch
local vanished = count - (size - first + 1) -- and beyond it

-- Sort the chunk by action, oldest first. This runs for each message: counters are faster than # of a table.
local redrive, quarantine, keep, stash = {}, {}, {}, {}
local redriven, edited, quarantined, dropped, kept = 0, 0, 0, 0, 0
local skipped_entries, skipped_edits = 0, 0
local signature_count = tonumber(ARGV[at])
local bodies = at + 1 + 2 * signature_count
local byte = string.byte
if actions == 'm' then
  for i = size, first, -1 do
    redriven = redriven + 1
    redrive[redriven] = found[i]
  end
  skipped_entries = popped
elseif actions == 'k' then
  for i = size, first, -1 do
    kept = kept + 1
    keep[kept] = found[i]
  end
else
  local uniform = #actions == 1 and byte(actions)
  for j = 1, popped do
    local action = uniform or byte(actions, j)
    if action ~= 107 then skipped_entries = skipped_entries + 1 end
    if action == 101 then skipped_edits = skipped_edits + 1 end
  end
  local pushed, entry = 0, 0
  for j = popped + 1, count do
    local message = found[size - (j - popped - 1)]
    local action = uniform or byte(actions, j)
    if action == 107 then
      kept = kept + 1
      keep[kept] = message
    elseif action == 109 then
      redriven = redriven + 1
      pushed = pushed + 1
      redrive[pushed] = message
      entry = entry + 1
    else
      stash[#stash + 1] = sequence .. ':' .. entry
      stash[#stash + 1] = message
      if action == 101 then
        pushed = pushed + 1
        redrive[pushed] = ARGV[bodies + skipped_edits + edited]
        edited = edited + 1
      elseif action == 113 then
        quarantined = quarantined + 1
        quarantine[quarantined] = message
      else
        dropped = dropped + 1
      end
      entry = entry + 1
    end
  end
end
if skipped_entries > 0 then entries = string.sub(entries, skipped_entries * entry_size + 1) end
local selected = redriven + edited + quarantined + dropped
if #entries ~= selected * entry_size then
  return {'malformed', selected, #entries}
end

local function list_or_none(key)
  local kind = redis.call('TYPE', key).ok
  return kind == 'list' or kind == 'none'
end
if #redrive > 0 and not list_or_none(KEYS[8]) then return {'wrongtype', KEYS[8]} end
if quarantined > 0 and not list_or_none(KEYS[9]) then return {'wrongtype', KEYS[9]} end

-- The first write. Out of memory, read-only replica and too few replicas are all refused here, with nothing done.
local arrived = depth - tonumber(state[2] or depth) + vanished
local header = struct.pack('<I4I4i4I4I8', present, kept, arrived, wave, now)
local blob = header .. entries
redis.call('HSET', batches, sequence, blob)

local undo = {{'HDEL', batches, sequence}}
local function step(back, ...)
  local answer = redis.pcall(...)
  if type(answer) == 'table' and answer.err then
    for i = #undo, 1, -1 do redis.pcall(unpack(undo[i])) end
    return answer
  end
  undo[#undo + 1] = back
  return nil
end
local failed
if #stash > 0 then
  local fields = {}
  for i = 1, #stash, 2 do fields[#fields + 1] = stash[i] end
  failed = step({'HDEL', originals, unpack(fields)}, 'HSET', originals, unpack(stash))
end
if not failed and KEYS[11] then
  failed = step({'SREM', KEYS[11], ARGV[11]}, 'SADD', KEYS[11], ARGV[11])
end
if not failed and #redrive > 0 then
  failed = step({'LTRIM', KEYS[8], #redrive, -1}, 'LPUSH', KEYS[8], unpack(redrive))
end
if not failed and quarantined > 0 then
  failed = step({'LTRIM', KEYS[9], quarantined, -1}, 'LPUSH', KEYS[9], unpack(quarantine))
end
if not failed and kept > 0 then
  failed = step({'LTRIM', source, kept, -1}, 'LPUSH', source, unpack(keep))
end
if not failed then
  failed = step({'PING'}, 'LTRIM', source, 0, -(present + 1))
end
if failed then return failed end

-- From here on nothing can fail: these keys were written or read above.
for i = 0, signature_count - 1 do
  redis.call('HSET', KEYS[7], ARGV[at + 1 + 2 * i], ARGV[at + 2 + 2 * i])
end
depth = redis.call('LLEN', source)
local in_wave = tonumber(state[4] or 0) == wave and redis.call('HINCRBY', run, 'wave_selected', selected)
if not in_wave then redis.call('HSET', run, 'wave_selected', selected) end
redis.call('HSET', run, 'depth', depth, 'sequence', sequence, 'wave', wave, 'updated_at', now)
local function add(field, by)
  if by ~= 0 then redis.call('HINCRBY', run, field, by) end
end
add('remaining', -(present + vanished))
add('scanned', present)
add('vanished', vanished)
add('kept', kept)
add('redriven', redriven + edited)
add('edited', edited)
add('quarantined', quarantined)
add('dropped', dropped)
if KEYS[10] ~= run and selected > 0 then
  redis.call('HINCRBY', KEYS[10], 'rolled_back', selected)
end
for _, key in ipairs({run, batches, originals, KEYS[7]}) do redis.call('PEXPIRE', key, ARGV[8]) end
redis.call('PEXPIRE', KEYS[3], ARGV[7])
if not KEYS[11] then return {'done', present, vanished, depth, selected} end
-- What the second step needs beside the messages, so that it need not ask.
local remaining = redis.call('HGET', run, 'remaining')
return {'done', present, vanished, depth, selected, #redrive + quarantined, blob, remaining}
