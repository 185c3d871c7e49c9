INSERT INTO migrations (name, checksum, works_beside) VALUES (%s, %s, %s)
ON CONFLICT (name) DO UPDATE SET checksum = EXCLUDED.checksum, applied_at = EXCLUDED.applied_at
