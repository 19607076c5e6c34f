-- Give the lock back. The fence moves on, so that a command of this holder that is still on its way does nothing.
-- KEYS 1 lock  2 fence   ARGV 1 token
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
redis.call('INCR', KEYS[2])
redis.call('DEL', KEYS[1])
return 1
