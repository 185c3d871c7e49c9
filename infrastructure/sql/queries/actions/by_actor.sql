-- What one actor asked for, newest first, between two positions: merged from the types of its commands.
WITH RECURSIVE types AS (
    (
        SELECT command_type
        FROM actions
        WHERE actor = %(actor)s AND command_type >= coalesce(%(command_type)s::text, '')
        ORDER BY command_type
        LIMIT 1
    )
    UNION ALL
    SELECT (
        SELECT next.command_type
        FROM actions AS next
        WHERE next.actor = %(actor)s AND next.command_type > types.command_type
        ORDER BY next.command_type
        LIMIT 1
    )
    FROM types
    WHERE types.command_type IS NOT NULL AND %(command_type)s::text IS NULL
)

SELECT found.position, found.recorded_at, found.actor, found.command_type
FROM types
CROSS JOIN LATERAL (
    SELECT position, recorded_at, actor, command_type
    FROM actions
    WHERE
        actor = %(actor)s
        AND command_type = types.command_type
        AND -position < -%(after)s::bigint
        AND -position > -%(before)s::bigint
    ORDER BY -position
    LIMIT %(limit)s
) AS found
WHERE %(command_type)s::text IS NULL OR found.command_type = %(command_type)s
ORDER BY found.position DESC
LIMIT %(limit)s
