"""Events of sandboxes, as the SDKs follow them: Socket.IO over a WebSocket."""
