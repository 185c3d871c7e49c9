-- Who ever asked for something, by name, with what each did last: one look into the index for each actor and type of command.
WITH RECURSIVE pairs AS (
    (
        SELECT actor, command_type, position
        FROM actions
        WHERE actor > %(after)s
        ORDER BY actor, command_type, -position
        LIMIT 1
    )
    UNION ALL
    SELECT next.actor, next.command_type, next.position
    FROM pairs
    CROSS JOIN LATERAL (
        SELECT actor, command_type, position
        FROM actions
        WHERE (actor, command_type) > (pairs.actor, pairs.command_type)
        ORDER BY actor, command_type, -position
        LIMIT 1
    ) AS next
),

found AS (
    SELECT DISTINCT ON (actor) actor, position
    FROM pairs
    ORDER BY actor, position DESC
    LIMIT %(limit)s
)

SELECT actions.actor, actions.position, actions.recorded_at, actions.command_type
FROM found
INNER JOIN actions ON actions.position = found.position
ORDER BY actions.actor
