-- Who did it first, and when, stays.
UPDATE api_keys
SET revoked_at = coalesce(revoked_at, clock_timestamp()),
    revoked_by = coalesce(revoked_by, format('%%s as %%s', %(by)s::text, session_user))
WHERE id = %(id)s AND tenant = %(tenant)s
RETURNING revoked_at
