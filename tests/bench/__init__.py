"""What the service costs beside the same work without it: see :mod:`bench.frame`."""
