"""Pictures: read under limits, as a model takes them in."""
