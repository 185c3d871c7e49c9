INSERT INTO readings (id, tenant, actor, role, credential, what, about, cut, rows)
SELECT id, tenant, actor, role, credential, what, about, cut, rows
FROM jsonb_to_recordset(%(readings)s::jsonb) AS r (
    id uuid, tenant text, actor text, role text, credential text, what text, about text, cut jsonb, rows bigint
)
