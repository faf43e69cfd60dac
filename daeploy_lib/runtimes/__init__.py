"""What builds, starts, stops and lists the versions of a service."""
