-- A dead letter waits again, at the end of the queue, and what was answered for it is forgotten.
-- KEYS: the queue, its messages, the dead by time, their messages, why, and the answer, if there may be one.
-- ARGV: the message's id. Gives 1 if it was a dead letter.
local message = redis.call('HGET', KEYS[4], ARGV[1])
if not message then
    return 0
end
if KEYS[6] then
    redis.call('DEL', KEYS[6])
end
redis.call('HSET', KEYS[2], ARGV[1], message)
redis.call('RPUSH', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('HDEL', KEYS[4], ARGV[1])
redis.call('HDEL', KEYS[5], ARGV[1])
return 1
