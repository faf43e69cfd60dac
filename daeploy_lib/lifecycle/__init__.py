"""The life of a version: deployed, assigned, listed, killed, adopted, swept."""
