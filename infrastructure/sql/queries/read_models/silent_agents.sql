-- Agents thought to be there of whom nothing was heard for long. One that has sent no heartbeat since it was
-- registered is not among them.
SELECT agents.id
FROM agents
INNER JOIN presence ON presence.agent_id = agents.id
WHERE
    agents.state IN ('registered', 'healthy', 'degraded', 'unhealthy')
    AND presence.last_seen <= %(since)s
    AND agents.registered_at <= presence.last_heartbeat
ORDER BY presence.last_seen
LIMIT %(limit)s
