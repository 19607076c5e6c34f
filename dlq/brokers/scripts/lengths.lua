-- The lengths in bytes of the messages at the given places, 0 where there is none.
-- KEYS 1 list   ARGV places (as LINDEX counts)
local lengths = {}
for i, place in ipairs(ARGV) do
  local message = redis.call('LINDEX', KEYS[1], place)
  lengths[i] = message and #message or 0
end
return lengths
