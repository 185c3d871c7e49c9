-- A message becomes a dead letter, if the consumer has it in hand still, or it is still told for later; who waits for an
-- answer is told.
-- KEYS: what it has in hand (a set) or what is told for later (a list), the messages, the dead by time, their messages, why, and the answer, if one may wait.
-- ARGV: the message's id, now in milliseconds, why; the answer, and how many milliseconds that lives; the channel of
-- news, and the command's id; and `later` or nothing.
if ARGV[8] == 'later' then
    redis.call('LREM', KEYS[1], 0, ARGV[1])
elseif redis.call('SREM', KEYS[1], ARGV[1]) == 0 then
    return
end
local message = redis.call('HGET', KEYS[2], ARGV[1])
if not message then
    return
end
redis.call('ZADD', KEYS[3], ARGV[2], ARGV[1])
redis.call('HSET', KEYS[4], ARGV[1], message)
redis.call('HSET', KEYS[5], ARGV[1], ARGV[3])
redis.call('HDEL', KEYS[2], ARGV[1])
if KEYS[6] then
    redis.call('DEL', KEYS[6])
    redis.call('RPUSH', KEYS[6], ARGV[4])
    redis.call('PEXPIRE', KEYS[6], ARGV[5])
    redis.pcall('PUBLISH', ARGV[6], ARGV[7])
end
