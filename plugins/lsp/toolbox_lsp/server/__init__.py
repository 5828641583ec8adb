"""Language servers: their processes, the protocol, and the diagnostics that they publish."""
