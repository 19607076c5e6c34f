-- Keep a queue's lock for another while; it may have expired, as long as nobody took it in between.
-- KEYS 1 lock  2 fence   ARGV 1 token  2 run  3 who  4 now ms  5 lock ms
if redis.call('GET', KEYS[2]) ~= ARGV[1] then
  local held = redis.call('HMGET', KEYS[1], 'run', 'who', 'since')
  return {0, held[1] or '', held[2] or '', held[3] or ''}
end
if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('HSET', KEYS[1], 'run', ARGV[2], 'who', ARGV[3], 'since', ARGV[4], 'token', ARGV[1])
end
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return {1}
