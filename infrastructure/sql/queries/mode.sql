SELECT import_id FROM mode
