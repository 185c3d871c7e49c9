-- The next messages of the queue, in order, into a consumer's hands, as dramatiq's own script does it; but with their ids.
-- KEYS: the queue, its messages, what the consumer has in hand, the heartbeats.
-- ARGV: the consumer, now in milliseconds, how many at most. Gives the ids and the messages.
redis.call('ZADD', KEYS[4], ARGV[2], ARGV[1])
local ids = redis.call('LPOP', KEYS[1], ARGV[3])
if not ids then
    return {{}, {}}
end
redis.call('SADD', KEYS[3], unpack(ids))
return {ids, redis.call('HMGET', KEYS[2], unpack(ids))}
