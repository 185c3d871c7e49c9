"""The tests of the tests: `make mutate` breaks the code in thousands of small ways, and asks which the tests miss."""
