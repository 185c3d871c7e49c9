-- The keys of a tenant that are good now.
SELECT id, secret_sha256, name, role, expires_at FROM api_keys
WHERE tenant = %(tenant)s AND revoked_at IS NULL AND expires_at > clock_timestamp()
