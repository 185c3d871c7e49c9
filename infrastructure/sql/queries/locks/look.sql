SELECT id, token FROM look_for_locks(%(place)s, %(ids)s)
