"""The helper program that copies, compares, restores and removes trees, in its own process."""
