-- No row comes back when the application has been tracked that far already.
INSERT INTO library_tracking AS t (application_name, notification_id) VALUES (%s, %s::bigint)
ON CONFLICT (application_name) DO UPDATE SET notification_id = EXCLUDED.notification_id
WHERE t.notification_id < EXCLUDED.notification_id
RETURNING notification_id
