"""Clone, fetch, pull and push with dulwich."""
