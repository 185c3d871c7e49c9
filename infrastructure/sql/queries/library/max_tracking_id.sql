SELECT notification_id FROM library_tracking WHERE application_name = %s
