"""Closes the present process off from files, network, other processes and endless memory, for good.

For processes that read what strangers made: model files now; documents and pictures can use the same.
"""

from __future__ import annotations

from edgeai.sandbox.entry import die_with_parent, enter
from edgeai.sandbox.policy import Policy, Report

__all__ = ["Policy", "Report", "die_with_parent", "enter"]
