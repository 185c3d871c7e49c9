SELECT set_config('lock_timeout', %(milliseconds)s::text || 'ms', false)
