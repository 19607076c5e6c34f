-- Take a queue's lock, or say who holds it. A new token is above every earlier one.
-- KEYS 1 lock  2 fence   ARGV 1 run  2 who  3 now ms  4 lock ms  5 take over the same run's lock ("1")
if redis.call('EXISTS', KEYS[1]) == 1 then
  local held = redis.call('HMGET', KEYS[1], 'run', 'who', 'since')
  if not (ARGV[5] == '1' and held[1] == ARGV[1]) then
    return {0, held[1] or '', held[2] or '', held[3] or '', redis.call('PTTL', KEYS[1])}
  end
end
local token = redis.call('INCR', KEYS[2])
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'run', ARGV[1], 'who', ARGV[2], 'since', ARGV[3], 'token', token)
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return {1, token}
