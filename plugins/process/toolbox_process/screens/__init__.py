"""Screens: terminals read as text and typed on, without a WebSocket."""
