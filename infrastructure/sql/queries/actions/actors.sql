-- Who ever asked for something, by name, with when each did last: one look into the index an actor.
WITH RECURSIVE found AS (
    (
        SELECT actor, position, recorded_at, command_type
        FROM actions
        WHERE actor > %(after)s
        ORDER BY actor, position DESC
        LIMIT 1
    )
    UNION ALL
    SELECT next.actor, next.position, next.recorded_at, next.command_type
    FROM found
    CROSS JOIN LATERAL (
        SELECT actor, position, recorded_at, command_type
        FROM actions
        WHERE actor > found.actor
        ORDER BY actor, position DESC
        LIMIT 1
    ) AS next
)
SELECT actor, position, recorded_at, command_type FROM found LIMIT %(limit)s
