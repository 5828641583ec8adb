"""Python interpreters that keep their state between runs."""
