-- How often attempts of tasks ended in which way, by events up to a position.
SELECT task_id, outcome, count(*) FROM attempts
WHERE task_id = ANY (%(task_ids)s) AND position <= %(position)s
GROUP BY task_id, outcome
