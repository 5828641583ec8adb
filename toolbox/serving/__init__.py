"""Serving: gunicorn's master and worker processes, and connections before and between requests."""
