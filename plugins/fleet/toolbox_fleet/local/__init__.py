"""The backend ``local``: each sandbox is a service of its own on this machine."""
