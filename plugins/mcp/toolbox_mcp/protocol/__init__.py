"""The Model Context Protocol over HTTP: messages, revisions, methods, and streams of events."""
