"""Rows of files: read and written one by one, whatever their number; and what is done with them kept as it is done."""
