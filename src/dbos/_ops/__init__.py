"""The verbs, once each."""
