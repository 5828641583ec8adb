"""Requests forwarded to another server, as a reverse proxy does: HTTP and WebSockets."""
