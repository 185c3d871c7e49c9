"""For those who test what they build on dora-state: strategies, invariants, histories and their checker.

`docs/testing.md` shows how to use them. Strategies need hypothesis (the extra `testing`); nothing else imports this.
"""
