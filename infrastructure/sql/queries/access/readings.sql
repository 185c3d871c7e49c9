-- The newest first, from before the one with a number on. Never prepared: a filter that is null must drop out of the plan.
SELECT r.number, r.at, r.actor, r.role, r.credential, r.login, r.what, r.about, r.cut, r.asked,
    coalesce(r.rows, e.rows), e.at
FROM readings AS r
LEFT JOIN reading_ends AS e USING (id)
WHERE r.tenant = %(tenant)s
    AND (%(actor)s::text IS NULL OR r.actor = %(actor)s)
    AND r.at >= coalesce(%(since)s::timestamptz, '-infinity')
    AND r.at <= coalesce(%(until)s::timestamptz, 'infinity')
    AND (r.at, r.number)
        < (coalesce((SELECT b.at FROM readings AS b WHERE b.number = %(before)s), 'infinity'), %(before)s::bigint)
ORDER BY r.at DESC, r.number DESC
LIMIT %(limit)s
