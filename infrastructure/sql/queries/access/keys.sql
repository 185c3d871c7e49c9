-- All that there ever were, the newest first.
SELECT id, name, role, created_at, created_by, expires_at, revoked_at, revoked_by, last_used_at,
    CASE WHEN revoked_at IS NOT NULL THEN 'revoked' WHEN expires_at <= clock_timestamp() THEN 'expired' ELSE 'good' END
FROM api_keys WHERE tenant = %(tenant)s
ORDER BY created_at DESC, id
