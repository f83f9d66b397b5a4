"""A model evaluated in a process of its own, in the sandbox: its file may come from anybody.

`evaluation` (process.py) starts that process, which runs child.py: it enters the sandbox, then does one of the tasks
of tasks.py and tells of it in the messages of wire.py. To debug a task, call it here: `tasks.run(job, print)`.
"""
