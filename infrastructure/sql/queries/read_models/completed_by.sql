-- How many tasks each agent completed within a window.
SELECT agent_id, count(*)
FROM attempts
WHERE
    agent_id = ANY(%(agent_ids)s::text[])
    AND outcome = 'completed'
    AND at > %(since)s
    AND at <= %(until)s
GROUP BY agent_id
