-- The newest first, from before a number on.
SELECT r.number, r.at, r.actor, r.role, r.credential, r.login, r.what, r.about, r.cut, coalesce(r.rows, e.rows), e.at
FROM readings r LEFT JOIN reading_ends e USING (id)
WHERE r.tenant = %(tenant)s AND r.number < %(before)s
    AND (%(actor)s::text IS NULL OR r.actor = %(actor)s)
    AND (%(since)s::timestamptz IS NULL OR r.at >= %(since)s)
    AND (%(until)s::timestamptz IS NULL OR r.at <= %(until)s)
ORDER BY r.number DESC
LIMIT %(limit)s
