INSERT INTO readings (id, tenant, actor, role, credential, what, about, cut, asked, rows)
SELECT id, tenant, actor, role, credential, what, about, cut, asked, rows
FROM jsonb_to_recordset(%(readings)s::jsonb) AS r (
    id uuid, tenant text, actor text, role text, credential text, what text, about text, cut jsonb, asked jsonb, rows bigint
)
