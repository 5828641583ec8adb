"""The HTTP and WebSocket side that the nouns share; backends know nothing of it."""
