-- Commands that are answered leave the queue, and the answer of each lies where it is waited for.
-- KEYS: what the consumer has in hand, the messages, and for each command its answer.
-- ARGV: the channel of news, the ids of the commands with spaces between; for each command its message's id, the
-- answer, and how many milliseconds that lives.
-- Who was taken for dead has nothing in hand any more: then the message is another's, and stays.
for i = 1, #KEYS - 2 do
    local id, answer, life = ARGV[3 * i], ARGV[3 * i + 1], ARGV[3 * i + 2]
    redis.call('DEL', KEYS[i + 2])
    redis.call('RPUSH', KEYS[i + 2], answer)
    redis.call('PEXPIRE', KEYS[i + 2], life)
    if redis.call('SREM', KEYS[1], id) == 1 then
        redis.call('HDEL', KEYS[2], id)
    end
end
redis.pcall('PUBLISH', ARGV[1], ARGV[2]) -- without the right to it, who waits looks now and then
