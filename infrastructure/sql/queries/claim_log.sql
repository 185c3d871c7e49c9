SELECT claim_log()
