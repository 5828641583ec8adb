"""The operations, as requests to a language server."""
