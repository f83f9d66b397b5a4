"""Documents: read, cut into passages, searched, cited."""
