SELECT lock_deadlocks(%(place)s)
