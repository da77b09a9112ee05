"""Classic tasks as suites, which read their data in its original layout."""
