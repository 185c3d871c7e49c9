SELECT keep_locks(%(tokens)s, %(seconds)s)
