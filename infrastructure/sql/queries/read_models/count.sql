-- How many documents of a kind are in these states.
SELECT coalesce(sum(count), 0)::bigint FROM counts WHERE kind = %(kind)s AND state = ANY(%(states)s::text[])
