"""Background loops, each a service with a one-word name."""
