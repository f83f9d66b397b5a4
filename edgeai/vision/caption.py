"""What is to be seen in many pictures, in one sentence each."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from edgeai.errors import PictureError, UnsupportedModalityError
from edgeai.messages import Message
from edgeai.vision.caption_file import Caption, CaptionFile
from edgeai.vision.picture import LoadedPicture, PictureReader

if TYPE_CHECKING:
    from edgeai.session import Session

PROMPTS = {"en": "Describe this picture in one sentence.", "ja": "この画像を一文で説明してください。"}
MAX_TOKENS = 120


def prompt_in(language: str) -> str:
    """What the model is asked, so that it answers in a language.

    Args:
        language: "en", "ja", or the English name of another: "German".
    """
    return PROMPTS.get(language) or f"{PROMPTS['en']} Answer in {language}."


def captions(
    session: Session, pictures: Sequence[Path], file: CaptionFile, prompt: str, *, max_tokens: int = MAX_TOKENS
) -> Generator[tuple[Path, Caption | PictureError], None, None]:
    """Caption the pictures that have none yet, one after the other; the next is read while the model is at work.

    Args:
        session: its model sees; its conversation is left alone.
        pictures: their files.
        file: where captions go. Those that are yielded are in it.
        prompt: what is asked about each.
        max_tokens: of a caption.
    Yields:
        A picture with its caption, or with why it has none.
    Raises:
        UnsupportedModalityError: the model sees no pictures.
        OSError: the captions cannot be written.
    """
    if not session.info.sees:
        raise UnsupportedModalityError(
            f"{session.model_name}: it sees no pictures: take a model that sees (edgeai models)"
        )
    left = iter([picture for picture in pictures if not _has(file, picture)])
    with PictureReader() as reader, ThreadPoolExecutor(1, "edgeai-pictures") as pool:

        def read_next() -> tuple[Path, Future[LoadedPicture]] | None:
            path = next(left, None)
            return None if path is None else (path, pool.submit(reader.load, path))

        coming = read_next()
        while coming is not None:
            (path, reading), coming = coming, read_next()
            try:
                loaded = reading.result()
            except PictureError as exc:
                yield path, exc
                continue
            answer = session.chat(
                messages=[Message("user", prompt, media=(loaded.medium,))], temperature=0, max_tokens=max_tokens
            )
            found = path.stat()
            caption = Caption(file.name_of(path), " ".join(answer.text.split()), found.st_size, found.st_mtime_ns)
            file.add(caption)
            yield path, caption


def _has(file: CaptionFile, picture: Path) -> bool:
    try:
        return file.has(picture)
    except OSError:
        return False  # reading it tells what is wrong
