-- Signs of life other than heartbeats, of agents that have sent a heartbeat before.
UPDATE presence
SET last_seen = seen.at
FROM unnest(%(agent_id)b::text[], %(at)b::timestamptz[]) AS seen (agent_id, at)
WHERE presence.agent_id = seen.agent_id AND presence.last_seen < seen.at
