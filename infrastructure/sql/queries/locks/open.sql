SELECT open_lock_place(%(process)s, %(seconds)s)
