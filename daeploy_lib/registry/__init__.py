"""The version registry: the one authority on which versions exist."""
