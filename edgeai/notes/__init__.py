"""Notes on documents longer than any window: summaries and reports, made step by step and kept until they are whole."""
