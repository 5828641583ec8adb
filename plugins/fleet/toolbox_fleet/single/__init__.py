"""The backend ``single``: this machine is the only sandbox."""
