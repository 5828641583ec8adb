"""Sessions: shells that run commands one after the other."""
