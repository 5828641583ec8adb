"""The connection to the API server of a cluster."""
