"""Upgrades in place: what a service hands over to the next version of itself."""
