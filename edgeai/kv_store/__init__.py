"""Evaluated prompts, kept on the disk: what has been read once is not read again, by the next process either."""

from __future__ import annotations
