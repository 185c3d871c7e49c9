-- A page of agents by their ids; a null filter lets everything through. Presence is `online` or `silent` by whether the last
-- heartbeat came at or after a moment, `unheard` without one since the agent was registered.
SELECT agents.id, agents.position, agents.document::text
FROM agents
LEFT JOIN presence ON presence.agent_id = agents.id AND presence.last_heartbeat >= agents.registered_at
WHERE
    (%(state)s::text IS NULL OR agents.state = %(state)s)
    AND (%(agent_type)s::text IS NULL OR agents.agent_type = %(agent_type)s)
    AND (%(node_id)s::text IS NULL OR agents.node_id = %(node_id)s)
    AND (%(capability)s::text IS NULL OR %(capability)s = ANY(agents.capabilities))
    AND (%(free_slots)s::integer IS NULL OR agents.available_slots >= %(free_slots)s)
    AND (
        %(presence)s::text IS NULL
        OR %(presence)s = CASE
            WHEN presence.agent_id IS NULL THEN 'unheard'
            WHEN presence.last_heartbeat >= %(online_since)s THEN 'online'
            ELSE 'silent'
        END
    )
    AND (%(mark_id)s::text IS NULL OR agents.id > %(mark_id)s)
ORDER BY agents.id
LIMIT %(limit)s
