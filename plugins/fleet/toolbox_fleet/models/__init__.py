"""Resources of the control plane on the wire."""
