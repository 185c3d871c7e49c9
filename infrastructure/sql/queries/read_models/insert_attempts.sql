-- Attempts that ended, set-wise.
INSERT INTO attempts (position, at, task_id, workflow_id, agent_id, outcome, duration, response_time)
SELECT *
FROM unnest(
    %(position)b::bigint[],
    %(at)b::timestamptz[],
    %(task_id)b::text[],
    %(workflow_id)b::text[],
    %(agent_id)b::text[],
    %(outcome)b::text[],
    %(duration)b::double precision[],
    %(response_time)b::double precision[]
)
