"""The life of one request: routing, header rules, upstreams, shadows."""
