from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edgeai.backends.text_stream import TextStream


def run(data: bytes, stop: tuple[str, ...] = (), size: int = 1) -> tuple[list[str], TextStream]:
    stream = TextStream(stop)
    pieces = [stream.push(data[at : at + size]) for at in range(0, len(data), size)]
    if not stream.stopped:
        pieces.append(stream.flush())
    return pieces, stream


@given(st.text(alphabet=st.characters(codec="utf-8")), st.integers(1, 7))
def test_any_text_in_any_pieces_comes_out_whole(text: str, size: int) -> None:
    pieces, _ = run(text.encode(), size=size)
    assert "".join(pieces) == text


@given(st.text("abc", max_size=30), st.lists(st.text("abc", min_size=1, max_size=4), max_size=3), st.integers(1, 5))
def test_stop_strings_cut_where_the_first_of_them_ends_first(text: str, stops: list[str], size: int) -> None:
    pieces, stream = run(text.encode(), tuple(stops), size)
    shown = "".join(pieces)
    assert not any(stop in shown for stop in stops)
    assert text.startswith(shown)
    assert stream.stopped == any(stop in text for stop in stops)
    if not stream.stopped:
        assert shown == text


def test_a_character_split_over_tokens_waits() -> None:
    stream = TextStream()
    assert stream.push("日".encode()[:2]) == ""
    assert stream.push("日".encode()[2:]) == "日"
    family = "👨‍👩‍👧".encode()
    assert "".join(stream.push(family[i : i + 1]) for i in range(len(family))) == "👨‍👩‍👧"


def test_an_unfinished_character_at_the_end_is_dropped_and_wrong_bytes_are_marked() -> None:
    stream = TextStream()
    assert stream.push(b"ok\xe6\x97") == "ok"
    assert stream.flush() == ""
    assert TextStream().push(b"a\xffb") == "a\ufffdb"


def test_only_what_may_become_a_stop_string_is_held_back() -> None:
    stream = TextStream(("\nUser:",))
    assert stream.push(b"Hello\nUs") == "Hello"
    assert stream.push(b"eful") == "\nUseful"
    assert stream.push(b"\nUser: more") == ""
    assert stream.stopped
