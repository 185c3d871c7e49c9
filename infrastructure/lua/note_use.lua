-- What was asked since the last note: what is in the second half of its life gets twice the life from now on, and
-- what is asked most is remembered; half of that is forgotten with each half-life. KEYS: asked, decayed, the copies.
-- ARGV: how many to remember, the half-life, a copy's longest life (both in seconds), then for each copy its name and
-- how often it was asked.
if redis.call('TYPE', KEYS[1]).ok ~= 'zset' then
    redis.call('DEL', KEYS[1])
end
if redis.call('SET', KEYS[2], '1', 'NX', 'EX', ARGV[2]) then
    redis.call('ZUNIONSTORE', KEYS[1], 1, KEYS[1], 'WEIGHTS', '0.5')
end
local now = tonumber(redis.call('TIME')[1])
for place = 3, #KEYS do
    redis.call('ZINCRBY', KEYS[1], ARGV[2 * place - 1], ARGV[2 * place - 2])
    local held = redis.pcall('GETRANGE', KEYS[place], 48, 63)
    local dies, life = string.match(type(held) == 'string' and held or '', '^(%d%d%d%d%d%d%d%d%d%d)(%d%d%d%d%d%d)$')
    if dies and now > tonumber(dies) - tonumber(life) / 2 then
        life = math.min(2 * tonumber(life), tonumber(ARGV[3]))
        redis.call('SETRANGE', KEYS[place], 48, string.format('%010d%06d', now + life, life))
        redis.call('EXPIREAT', KEYS[place], now + life)
    end
end
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -1 - tonumber(ARGV[1]))
redis.call('EXPIRE', KEYS[1], 10 * tonumber(ARGV[2]))
