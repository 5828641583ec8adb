"""Services of sandboxes as processes of this machine: start, watch, limit, suspend and end."""
