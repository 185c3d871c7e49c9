-- How many documents there are, by kind and state.
SELECT kind, state, count FROM counts
