-- The last heartbeats of these agents.
SELECT agent_id, last_heartbeat, usage::text, queue_size
FROM presence
WHERE agent_id = ANY(%(agent_ids)s::text[])
