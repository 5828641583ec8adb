"""The backend ``cli``: the git binary."""
