-- The last heartbeats of many agents; none replaces a later one.
INSERT INTO presence (agent_id, last_heartbeat, last_seen, usage, queue_size)
SELECT
    agent_id,
    last_heartbeat,
    last_heartbeat,
    usage::json,
    queue_size
FROM unnest(
    %(agent_id)b::text[],
    %(last_heartbeat)b::timestamptz[],
    %(usage)b::text[],
    %(queue_size)b::bigint[]
) AS heard (agent_id, last_heartbeat, usage, queue_size)
ON CONFLICT (agent_id) DO UPDATE SET
    last_heartbeat = excluded.last_heartbeat,
    last_seen = greatest(presence.last_seen, excluded.last_seen),
    usage = excluded.usage,
    queue_size = excluded.queue_size
WHERE presence.last_heartbeat < excluded.last_heartbeat
