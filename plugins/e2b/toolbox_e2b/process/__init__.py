"""``process.Process``: programs, with their input and output."""
