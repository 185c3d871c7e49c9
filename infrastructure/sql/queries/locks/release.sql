SELECT release_lock(%(token)s)
