"""Ship a new version of a service without fear."""
