"""Sources of a service, made into a vetted build context."""
