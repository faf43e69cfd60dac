"""WebSockets: proxied to main, the client's messages copied to the shadows."""
