SELECT t.name, t.created_at,
    (SELECT count(*) FROM api_keys k WHERE k.tenant = t.name AND k.revoked_at IS NULL AND k.expires_at > clock_timestamp())
FROM tenants t ORDER BY t.name
