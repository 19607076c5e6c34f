-- Begin a run, or a further pass of it; the same call twice changes nothing the second time. A run that was only
-- stopped goes on; one that is done, tripped or rolled back stays that.
-- KEYS 1 source  2 fence  3 run  4 runs
-- ARGV 1 token  2 pass  3 run id  4 now ms  5 ledger ms  6 length of the pass (-1: the source's)
--      7 depth of the source where it lies in another slot (-1: look), then field, value, ...
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return {'fenced'} end
local kind = redis.call('TYPE', KEYS[1]).ok
if kind ~= 'list' and kind ~= 'none' then return {'wrongtype', KEYS[1]} end
-- These two change nothing. A user who may not trim or count is refused here: in the middle of a batch what was pushed
-- could not be taken back for him.
redis.call('LTRIM', KEYS[1], 0, -1)
redis.call('HINCRBY', KEYS[3], 'scanned', 0)
local pass = tonumber(redis.call('HGET', KEYS[3], 'pass') or -1)
if pass >= tonumber(ARGV[2]) then
  if redis.call('HGET', KEYS[3], 'state') == 'stopped' then
    redis.call('HSET', KEYS[3], 'state', 'running', 'updated_at', ARGV[4])
  end
  return {'already'}
end
local length = tonumber(ARGV[6])
local depth = tonumber(ARGV[7])
if depth < 0 then depth = redis.call('LLEN', KEYS[1]) end
if length < 0 or length > depth then length = depth end
redis.call('HSET', KEYS[3], 'pass', ARGV[2], 'remaining', length, 'frozen', length, 'depth', depth,
  'state', 'running', 'updated_at', ARGV[4], unpack(ARGV, 8))
redis.call('PEXPIRE', KEYS[3], ARGV[5])
-- By the server's clock: one client's that runs ahead would forget everybody's runs.
local time = redis.call('TIME')
local here = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[4], 'NX', here, ARGV[3])
redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', here - tonumber(ARGV[5]))
redis.call('PEXPIRE', KEYS[4], ARGV[5])
return {'begun'}
