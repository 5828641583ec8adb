"""The WSGI application: its routes, its own operations and its OpenAPI document."""
