"""Services: programs that are kept running, by name."""
