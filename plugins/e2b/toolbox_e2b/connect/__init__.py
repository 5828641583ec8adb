"""The Connect protocol, with JSON, over HTTP/1.1: https://connectrpc.com/docs/protocol."""
