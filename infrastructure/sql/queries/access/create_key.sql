-- Nothing where the tenant has gone, or has as many good keys as it may have. The tenant stays while its key is made.
WITH of AS (SELECT name FROM tenants WHERE name = %(tenant)s FOR KEY SHARE)
INSERT INTO api_keys (id, secret_sha256, tenant, name, role, expires_at, created_by)
SELECT %(id)s, %(secret_sha256)s, of.name, %(name)s, %(role)s, %(expires_at)s, format('%%s as %%s', %(by)s::text, session_user)
FROM of
WHERE (
    SELECT count(*) FROM api_keys WHERE tenant = %(tenant)s AND revoked_at IS NULL AND expires_at > clock_timestamp()
) < %(most)s
RETURNING id
