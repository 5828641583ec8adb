"""The backend ``cli``, which runs the git binary."""
