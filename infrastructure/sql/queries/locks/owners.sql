SELECT token, owner FROM live_locks() WHERE token = ANY (%(tokens)s)
