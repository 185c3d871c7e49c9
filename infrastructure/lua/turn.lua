-- Other tables are about to be switched in: no copy is believed, and none that is offered, until a projector begins,
-- or for a minute if none does. KEYS: floor, lease.
redis.call('SET', KEYS[1], string.rep('9', 16) .. TURNED .. '0', 'EX', 60)
redis.call('DEL', KEYS[2])
