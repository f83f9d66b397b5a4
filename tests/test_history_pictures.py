"""Pictures of stored messages: which file it was, kept with the message through branches, exports and bad data."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgeai.history import History
from edgeai.history_export import from_json, to_json, to_markdown
from edgeai.history_types import PictureRef, StoredMessage

PANEL = PictureRef("/home/me/<panel>\x1b[31m.jpg", "a" * 64, 1024, 768, 256)
OTHER = PictureRef("/home/me/other.png", "b" * 64, 3, 4)


def message(pictures: object) -> StoredMessage:
    return StoredMessage(1, "c", None, "user", "q", "complete", "", {"pictures": pictures})


def test_a_message_keeps_its_pictures_and_an_export_tells_of_them(tmp_path: Path) -> None:
    with History(":memory:") as history:
        id = history.create().id
        question, answer = history.begin_turn(id, None, "What?", [PANEL, OTHER])
        history.finish_turn(answer, "A panel.", stats={"pictures": "none of an answer's"})
        other = history.begin_answer(question)
        history.finish_turn(other, "A lamp.")
        assert [stored.pictures for stored in history.path(id)] == [(PANEL, OTHER), ()]
        assert history.message(answer).pictures == ()
        text = to_json(history.get(id), history.all_messages(id))
        assert "\x1b" not in text
        copy = from_json(history, text)
        assert history.path(copy.id)[0].pictures == (PANEL, OTHER)
        markdown = to_markdown(history.get(id), history.path(id))
        assert "## You\n\n(picture: \\<panel>.jpg)\n\n(picture: other.png)\n\nWhat?\n" in markdown


def test_a_name_that_is_no_unicode_is_stored_as_well_as_it_can_be() -> None:
    with History(":memory:") as history:
        id = history.create().id
        history.begin_turn(id, None, "q", [PictureRef("/x/\udcff.png", "a" * 64, 1, 1)])
        assert history.path(id)[0].pictures == (PictureRef("/x/?.png", "a" * 64, 1, 1),)


@pytest.mark.parametrize(
    "change",
    [
        {"path": "relative.png"},
        {"path": "/a\0b"},
        {"path": "/" * 5000},
        {"path": 5},
        {"path": ["/x"]},
        {"sha256": "A" * 64},
        {"sha256": None},
        {"width": -1},
        {"height": "3"},
        {"width": True},
        {"n_tokens": 2.5},
        {"more": 1},
    ],
)
def test_what_was_stored_by_hand_is_taken_as_far_as_it_makes_sense(change: dict[str, object]) -> None:
    good = {"path": "/x.png", "sha256": "a" * 64, "width": 3, "height": 4, "n_tokens": None}
    assert message([good, {**good, **change}, 5, None, "x"]).pictures == (PictureRef("/x.png", "a" * 64, 3, 4),)
    assert message(json.loads("{}")).pictures == message("x").pictures == ()
