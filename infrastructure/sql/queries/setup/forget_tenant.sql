DELETE FROM tenants WHERE name = %s
