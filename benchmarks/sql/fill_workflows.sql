-- The workflows of those tasks; `body` is a document with places for what differs.
INSERT INTO workflows (
    id, position, state, definition_id, definition_version, priority, created_at, started_at, limited_from, updated_at, ended_at,
    scheduled_completion, document
)
SELECT
    id, n, state, definition_id, '1.' || n %% 3, priority, created_at, created_at + interval '2 s', created_at, updated_at,
    ended_at, due,
    format(
        %(body)s::text, id, definition_id, state, to_json(created_at), to_json(updated_at),
        coalesce(to_json(ended_at)::text, 'null'), coalesce(to_json(due)::text, 'null'), priority
    )::json
FROM (
    SELECT
        *,
        CASE WHEN state IN ('completed', 'failed', 'cancelled') THEN updated_at END AS ended_at,
        CASE WHEN hash %% 3 = 0 THEN created_at + interval '3 days' END AS due
    FROM (
        SELECT
            n,
            hash,
            'wf-' || lpad(n::text, 7, '0') AS id,
            'definition-' || hash / 7 %% 40 AS definition_id,
            ('{low,low,medium,medium,medium,medium,medium,medium,medium,high}'::text[])[1 + hash / 11 %% 10] AS priority,
            CASE
                WHEN n > %(count)s * 0.98 THEN ('{created,scheduled,running,paused}'::text[])[1 + hash / 13 %% 4]
                WHEN hash / 17 %% 32 = 0 THEN ('{failed,cancelled}'::text[])[1 + hash / 544 %% 2]
                ELSE 'completed'
            END AS state,
            at AS created_at,
            at + hash %% 86400 * interval '1 s' AS updated_at
        FROM (
            SELECT
                n,
                abs(hashint8(n))::bigint AS hash,
                %(now)s::timestamptz - (%(count)s + 1 - n) * (interval '180 days' / (%(count)s + 1)) AS at
            FROM generate_series(0, %(count)s) AS n
        ) AS numbered
    ) AS shaped
) AS whole
