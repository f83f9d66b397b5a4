"""Conversations as the list shows them: an inert title, under the day it was last changed."""

from __future__ import annotations

import calendar
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timezone

from edgeai.history_types import Conversation
from edgeai.safe_text import one_line

NO_TITLE = "(no title)"


@dataclass(frozen=True, slots=True)
class Entry:
    """A conversation in the list.

    Attributes:
        title: inert, on one line.
        day: the group it stands in.
    """

    id: str
    title: str
    day: str


def entries_of(conversations: Iterable[Conversation], today: date) -> list[Entry]:
    """An entry for each, in the same order."""
    return [
        Entry(item.id, one_line(item.title).strip() or NO_TITLE, day_of(item.updated, today)) for item in conversations
    ]


def day_of(updated: str, today: date) -> str:
    """The group of a conversation: Today, Yesterday, a weekday of the last seven days, or a month.

    Args:
        updated: UTC, ISO 8601.
        today: in local time.
    """
    try:
        moment = datetime.fromisoformat(updated.replace("Z", "+00:00"))
        day = moment.replace(tzinfo=moment.tzinfo or timezone.utc).astimezone().date()
    except (ValueError, OverflowError, OSError):  # the store is a file like any other
        return "Some time"
    n_days = (today - day).days
    if n_days <= 1:  # a clock that was set back makes days in the future
        return "Yesterday" if n_days == 1 else "Today"
    if n_days < 7:
        return calendar.day_name[day.weekday()]
    return f"{calendar.month_name[day.month]} {day.year}"
