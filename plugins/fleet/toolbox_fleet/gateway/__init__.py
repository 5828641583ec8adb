"""The way into a sandbox through the control plane: its own API, and previews of its ports."""
