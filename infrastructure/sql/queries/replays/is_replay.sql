-- Whether a replay made this schema: its table is there, and is ours.
SELECT EXISTS (
    SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = %s AND c.relname = 'replay' AND pg_get_userbyid(c.relowner) = 'dora_state_migrator'
)
