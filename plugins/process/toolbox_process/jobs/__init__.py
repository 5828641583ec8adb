"""Every job by id, no matter which operation started it."""
