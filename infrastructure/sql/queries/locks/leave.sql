SELECT leave_locks(%(ids)s)
