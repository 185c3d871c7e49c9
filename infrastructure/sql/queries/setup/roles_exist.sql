SELECT count(*) = 3 AND bool_and(pg_has_role(current_user, oid, 'MEMBER'))
    AND bool_and(rolname <> 'dora_state_migrator' OR has_database_privilege(oid, current_database(), 'CREATE'))
FROM pg_roles WHERE rolname IN ('dora_state_writer', 'dora_state_projector', 'dora_state_migrator')
