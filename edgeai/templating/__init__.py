"""Chat templates: Jinja from a downloaded file, run with bounds on what it reaches, on time and on memory."""
