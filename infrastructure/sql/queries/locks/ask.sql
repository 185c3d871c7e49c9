SELECT ask_for_lock(%(id)s, %(place)s, %(stream_id)s, %(holder)s, %(owner)s, %(party)s, %(holds)s, %(hold_seconds)s)
