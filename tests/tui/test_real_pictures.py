"""The chat on a real model that sees: trained on pictures of shapes, quantized by us, asked through Textual's pilot."""

from __future__ import annotations

from pathlib import Path

from edgeai.history import History
from edgeai.session import Session
from quantize import Options, quantize
from tests.tui.chat_app import Chat
from tests.tui.pictured import above, bar, sees
from tests.vision.tiny_vlm.pictures import COLOURS, SIDE, Scene, Shape, draw
from tests.vision.tiny_vlm.reference import MODEL_DIR
from tui.app import EdgeAIApp
from tui.settings import ConversationSettings


async def test_the_model_sees_what_is_attached(tmp_path: Path) -> None:
    for colour, shape in (("red", "circle"), ("blue", "square")):
        scene = Scene(SIDE, SIDE, (250, 250, 250), (Shape(shape, colour, COLOURS[colour], 48, 48, 26),))
        draw(scene).save(tmp_path / f"{shape}.png")
    artifact = quantize(MODEL_DIR, tmp_path / "tiny" / "tiny.gguf", Options(ftype="F16", projector="F16"))
    settings = ConversationSettings(temperature=0.0, max_tokens=24)
    with History() as history:
        app = EdgeAIApp(Session, history, str(artifact.path), settings, folder=tmp_path)
        async with app.run_test(size=(100, 40)) as pilot:
            chat = Chat(app, pilot)
            await chat.until(lambda: chat.screen.status.n_ctx)
            await chat.send("/image circle.png")
            await sees(chat, "circle.png")
            assert bar(chat) == "▣ circle.png 96 x 96 · 38 tokens"
            await chat.ask("What colour is the shape?")
            assert chat.texts[1].strip() == "red"
            assert len(above(chat)) == 13
            await chat.press("ctrl+n")
            await chat.send("/image square.png")
            await chat.ask("Which shape is it?")
            assert chat.texts[1].strip() == "square"
            usage = history.path(history.conversations()[0].id)[1].stats["usage"]
            assert usage["prompt_tokens"] > 38
