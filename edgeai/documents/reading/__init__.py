"""Files read in a process of their own, in the sandbox: a document may come from anybody.

`process.py` starts that process, sends it the file's bytes and checks what comes back; `child.py` runs in it: it enters
the sandbox before the first byte arrives, finds out what the file is (`sniff.py`) and lets one of the formats read it.
The process opens no file but Python's libraries: not even the document. To debug a format, call it here:
`child.read_bytes(data, hints, Output(print))`.
"""
