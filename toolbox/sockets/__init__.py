"""WebSockets, and the I/O loop that drives them."""
