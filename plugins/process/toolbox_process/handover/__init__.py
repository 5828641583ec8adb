"""Handing over what runs to the next version of the service, in an upgrade in place."""
