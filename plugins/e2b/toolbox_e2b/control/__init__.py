"""E2B's control plane: sandboxes of the group ``fleet``."""
