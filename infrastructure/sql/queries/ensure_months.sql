SELECT ensure_months(%s, %s)
