INSERT INTO tenants (name, schema) VALUES (%s, %s) ON CONFLICT DO NOTHING
