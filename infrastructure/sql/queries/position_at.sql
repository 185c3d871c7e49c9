SELECT position_at(%s)
