UPDATE api_keys
SET revoked_at = clock_timestamp(), revoked_by = format('%%s as %%s', %(by)s::text, session_user)
WHERE tenant = %(tenant)s AND revoked_at IS NULL
