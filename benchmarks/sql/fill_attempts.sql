-- The attempts of tasks that ended, and the workflows that were completed.
WITH ended AS (
    INSERT INTO attempts (position, at, task_id, workflow_id, agent_id, outcome, duration, response_time)
    SELECT position, ended_at, id, workflow_id, agent_id, state, 12.5, 4.25
    FROM tasks
    WHERE ended_at IS NOT NULL
)

INSERT INTO completions (position, at, workflow_id)
SELECT position + 1000000000, ended_at, id FROM workflows WHERE state = 'completed'
