"""The command ``toolbox sandboxes``: a client of a service, by the standard library alone."""
