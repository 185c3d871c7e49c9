SELECT keep_lock_place(%(place)s, %(seconds)s)
