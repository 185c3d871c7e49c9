SELECT renew_lock(%(token)s)
