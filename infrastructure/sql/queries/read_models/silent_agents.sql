-- Agents thought to be there whose last heartbeat is long ago. One that never sent any is not among them.
SELECT agents.id
FROM agents
INNER JOIN presence ON presence.agent_id = agents.id
WHERE
    agents.state IN ('registered', 'healthy', 'degraded', 'unhealthy')
    AND presence.last_heartbeat <= %(since)s
    AND agents.registered_at <= %(since)s
ORDER BY presence.last_heartbeat
LIMIT %(limit)s
