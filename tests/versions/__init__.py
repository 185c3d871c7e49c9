"""The integration and contract tests on other servers and another Python than `make test` has: `make versions`."""
