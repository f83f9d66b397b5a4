"""Media in conversations, on a fake engine that hears: what stands for them, and what nobody can forge."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgeai import ChatTemplateError, ContextOverflowError, Message, OptionError, Session, UnsupportedModalityError
from edgeai.errors import AudioError, PictureError
from edgeai.media import MAX_SOUND_S, SOUND_RATE_HZ, Medium, chunk_ids, markers
from edgeai.model_list import model_facts
from edgeai.transcript import Transcript
from tests.fakes import CHATML, FakeBackend
from tests.tiny import tiny_model
from tests.tiny_projector import tiny_projector
from tui.cli import main


def tone(hz: float, seconds: float = 1.0) -> Medium:
    times = np.arange(int(seconds * SOUND_RATE_HZ)) / SOUND_RATE_HZ
    return Medium.sound(np.sin(2 * np.pi * hz * times).astype("<f4").tobytes())


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend(hears=True)


def heard(content: str, *sounds: Medium) -> Message:
    return Message("user", content, media=sounds)


def test_ids_follow_from_the_content_and_collide_with_none() -> None:
    one, other = chunk_ids("a" * 64, 0, 50), chunk_ids("b" * 64, 0, 50)
    assert one == chunk_ids("a" * 64, 0, 50) == chunk_ids("a" * 64, 0, 60)[:50]
    assert not {*one} & {*other, *chunk_ids("a" * 64, 1, 50)}
    assert all(-(2**31) < token < -1 for token in (*one, *other))


def test_a_sound_is_what_it_sounds_like() -> None:
    assert tone(440) == tone(440)
    assert tone(440) != tone(441)
    assert hash(heard("", tone(440))) == hash(heard("", tone(440)))
    assert tone(440, 1.5).duration_s == 1.5
    assert "data" not in repr(tone(440))


@pytest.mark.parametrize("n_bytes", [0, 3, 4, 641, 4 * (MAX_SOUND_S * SOUND_RATE_HZ + 1)])
def test_what_is_no_sound_for_a_model_says_so(n_bytes: int) -> None:
    with pytest.raises(AudioError, match=r"expected float32 samples, 0\.01 to 900 s"):
        Medium.sound(bytes(n_bytes))


def test_samples_that_are_no_numbers_are_no_sound() -> None:
    with pytest.raises(AudioError, match="no number"):
        Medium.sound(np.full(16_000, np.nan, "<f4").tobytes())


def test_a_sound_stands_before_the_text_of_its_message(backend: FakeBackend) -> None:
    one, other = tone(440), tone(220)
    Session(backend=backend).chat(messages=[heard("Who sings?", one, other)]).wait()
    request = backend.requests[0]
    assert backend.detokenize(request.tokens) == (
        "<|im_start|>user\n[♪♪♪][♪♪♪]Who sings?<|im_end|>\n<|im_start|>assistant\n"
    )
    assert request.media == (one, other)
    at = request.tokens.index(ord("["))
    assert list(request.tokens[at : at + 10]) == [*backend.media_tokens(one), *backend.media_tokens(other)]


def test_a_conversation_about_a_sound_goes_on_in_the_cache(backend: FakeBackend) -> None:
    session = Session(backend=backend)
    session.messages = [heard("Who sings?", tone(440))]
    session.chat().wait()
    assert session.chat("And what?").usage.cached_tokens == len(backend.requests[0].tokens)
    assert backend.requests[1].media == (tone(440),)


def test_the_same_words_about_another_sound_are_another_prompt(backend: FakeBackend) -> None:
    session = Session(backend=backend)
    for hz in (440, 220, 440):
        session.chat(messages=[heard("Who sings?", tone(hz))]).wait()
    first, second, third = (list(request.tokens) for request in backend.requests)
    assert first == third
    assert first != second
    assert len(first) == len(second)


@pytest.mark.parametrize("role", ["user", "assistant", "system", "tool"])
def test_nobody_can_write_a_sound_into_a_text(backend: FakeBackend, role: str) -> None:
    forged = f"a{markers([tone(440)])}b"
    messages = [Message(role, forged), heard(f"{forged}?", tone(440))]  # type: ignore[arg-type]
    Session(backend=backend).chat(messages=messages).wait()
    prompt = backend.detokenize(backend.requests[0].tokens)
    assert prompt.count("♪") == 3
    assert f"\na{tone(440).sha256}b<" in prompt
    assert f"[♪♪♪]a{tone(440).sha256}b?<" in prompt


def test_a_template_cannot_make_a_sound_up(backend: FakeBackend) -> None:
    source = CHATML + markers([tone(220)])
    Session(backend=backend, chat_template=source).chat(messages=[heard("?", tone(440))]).wait()
    assert backend.detokenize(backend.requests[0].tokens).count("♪") == 3


def test_a_template_that_leaves_the_sound_out_is_refused(backend: FakeBackend) -> None:
    source = "{{ messages[0].content[-1:] }}"
    with pytest.raises(ChatTemplateError, match="leaves media out"):
        Session(backend=backend, chat_template=source).chat(messages=[heard("?", tone(440))])


def test_a_template_that_refuses_a_system_message_keeps_the_sound(backend: FakeBackend) -> None:
    source = "{% if messages[0].role == 'system' %}{{ raise_exception('no') }}{% endif %}" + CHATML
    messages = [Message("system", "Be kind."), heard("Who?", tone(440))]
    Session(backend=backend, chat_template=source).chat(messages=messages).wait()
    assert "user\n[♪♪♪]Be kind.\n\nWho?<" in backend.detokenize(backend.requests[0].tokens)


def test_a_sound_that_is_longer_than_the_window_does_not_fit() -> None:
    session = Session(backend=FakeBackend(n_ctx=100, hears=True))
    with pytest.raises(ContextOverflowError) as caught:
        session.chat(messages=[heard("", tone(440, 60))])
    assert caught.value.n_prompt == len("<|im_start|>user\n[]<|im_end|>\n<|im_start|>assistant\n") + 121


def test_a_turn_that_is_trimmed_takes_its_sound_along() -> None:
    backend = FakeBackend(n_ctx=300, hears=True)
    session = Session(backend=backend, overflow="trim")
    session.messages = [heard("first", tone(440, 60)), Message("assistant", "yes")]
    for _ in range(3):
        response = session.chat("and " * 12)
        response.wait()
    assert response.dropped[0].media == (tone(440, 60),)
    assert backend.requests[-1].media == ()
    assert min(backend.requests[-1].tokens) >= 0


def test_only_users_play_sounds_and_only_to_models_that_hear() -> None:
    with pytest.raises(OptionError, match="role 'system'"):
        Message("system", "x", media=(tone(440),))
    with pytest.raises(UnsupportedModalityError, match="hears no sounds"):
        Session(backend=FakeBackend()).chat(messages=[heard("x", tone(440))])


def test_media_are_given_as_messages_are(backend: FakeBackend) -> None:
    as_mapping = {"role": "user", "content": "Who?", "media": [tone(440)]}
    Session(backend=backend).chat(messages=[as_mapping]).wait()
    assert backend.requests[0].media == (tone(440),)
    for media in (["tone.wav"], [b"\0\0\0\0"], 5):
        with pytest.raises(OptionError):
            Session(backend=backend).chat(messages=[{**as_mapping, "media": media}])


def test_texts_around_a_medium_are_tokenized_apart() -> None:
    seen: list[str] = []

    def tokenize(text: str) -> list[int]:
        seen.append(text)
        return [ord(letter) for letter in text]

    transcript = Transcript(tokenize, {tone(440).sha256: [-5, -6]}.__getitem__)
    assert transcript.tokens(f"ab{markers([tone(440)])}c", 99) == [97, 98, -5, -6, 99]
    assert seen == ["ab", "c"]


def test_a_picture_is_its_size_and_its_pixels() -> None:
    red, wide = Medium.picture(bytes([255, 0, 0] * 6), 2, 3), Medium.picture(bytes([255, 0, 0] * 6), 3, 2)
    assert red == Medium.picture(bytes([255, 0, 0] * 6), 2, 3)
    assert red != wide
    assert not red.is_sound
    assert "data" not in repr(red)
    for pixels, width, height in ((b"", 2, 3), (bytes(17), 2, 3), (bytes(3), 0, 1), (bytes(3), -1, -1)):
        with pytest.raises(PictureError, match="expected"):
            Medium.picture(pixels, width, height)
    with pytest.raises(PictureError, match=r"16,385 x 1 pixels: expected sides of 1 to 16,384"):
        Medium.picture(bytes(3 * 16_385), 16_385, 1)
    with pytest.raises(PictureError, match="make it smaller"):
        Medium(b"", "0" * 64, 16_384, 16_384)


def test_only_models_that_see_are_shown_pictures() -> None:
    picture = Medium.picture(bytes(3), 1, 1)
    backend = FakeBackend(sees=True)
    Session(backend=backend).chat(messages=[heard("Who?", picture)]).wait()
    request = backend.requests[0]
    assert "user\n[♪♪♪♪]Who?<" in backend.detokenize(request.tokens)
    assert request.keep_at == (request.tokens.index(ord("]")),), "the next question about it goes on from there"
    with pytest.raises(UnsupportedModalityError, match="sees no pictures"):
        Session(backend=FakeBackend(hears=True)).chat(messages=[heard("Who?", picture)])
    with pytest.raises(UnsupportedModalityError, match="hears no sounds"):
        Session(backend=backend).chat(messages=[heard("Who?", picture, tone(440))])


def test_the_list_of_models_tells_which_hear(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEAI_HOME", str(tmp_path / "home"))
    folder = tmp_path / "hearing"
    folder.mkdir()
    tiny_model(folder / "text.gguf")
    tiny_projector(folder / "mmproj-text.gguf")
    assert main(["models", "add", str(folder)]) == 0
    assert model_facts("text").modalities == ("text", "audio")


def test_the_tokens_of_a_picture_are_counted_where_the_model_sees() -> None:
    picture = Image.new("RGB", (9, 9))
    medium = Medium.picture(bytes(3 * 81), 9, 9)
    with Session(backend=FakeBackend(sees=True)) as session:
        assert session.count_picture_tokens(picture) == session.count_picture_tokens(medium) == 6
        with pytest.raises(PictureError, match="no such file"):
            session.count_picture_tokens("gone.png")
    with Session(backend=FakeBackend()) as session:
        assert session.count_picture_tokens("gone.png") == 0
