"""Changes on disk that servers are notified of."""
