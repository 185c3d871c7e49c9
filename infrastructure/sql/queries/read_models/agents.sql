-- Agents by their ids; a null filter lets everything through.
SELECT id, position, document::text
FROM agents
WHERE
    (%(state)s::text IS NULL OR state = %(state)s)
    AND (%(agent_type)s::text IS NULL OR agent_type = %(agent_type)s)
    AND (%(mark_id)s::text IS NULL OR id > %(mark_id)s)
ORDER BY id
LIMIT %(limit)s
