INSERT INTO replay (tenant, until_position, until_at) VALUES (%(tenant)s, %(until_position)s, %(until_at)s)
