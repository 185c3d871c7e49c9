SELECT leave_locks(ARRAY(SELECT id FROM locks WHERE token = %(token)s))
