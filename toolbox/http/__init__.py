"""HTTP: the WSGI application, and reading and writing what travels over it."""
