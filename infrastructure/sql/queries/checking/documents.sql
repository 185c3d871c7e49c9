-- Documents by kind and id with where the read models are, all at one moment.
SELECT kind, id, position, document, (SELECT c.position FROM checkpoints c WHERE c.name = 'states')
FROM (
    SELECT 'workflow' AS kind, id, position, document::text FROM workflows WHERE id = ANY (%(workflow)s)
    UNION ALL SELECT 'task', id, position, document::text FROM tasks WHERE id = ANY (%(task)s)
    UNION ALL SELECT 'agent', id, position, document::text FROM agents WHERE id = ANY (%(agent)s)
    UNION ALL SELECT 'pool', id, position, document::text FROM pools WHERE id = ANY (%(pool)s)
    UNION ALL SELECT 'system', id, position, document::text FROM systems WHERE id = ANY (%(system)s)
    UNION ALL SELECT NULL, NULL, NULL, NULL
) AS found
