"""Values in, text or markup out."""
