"""Model families: one file each, with its tensor names, transforms and metadata."""
