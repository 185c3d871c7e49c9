-- Reservations of four pools; every tenth never expires.
INSERT INTO reservations (pool_id, id, task_id, agent_id, resources, created_at, expires_at)
SELECT
    'pool-' || n %% 4, 'res-' || n, 'task-' || lpad(n::text, 9, '0'), 'agent-' || n %% %(agents)s, '{"cpu": "1"}', %(now)s,
    CASE WHEN n %% 10 = 0 THEN 'infinity' ELSE %(now)s::timestamptz + n * interval '1 s' END
FROM generate_series(1, %(count)s) AS n
