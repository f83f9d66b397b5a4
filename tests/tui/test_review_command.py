"""`edgeai review`, run as a person runs it."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from edgeai.notes.journal import jobs_dir
from tests.review.decks import Text, pdf_deck, title
from tests.review.reviewer import Reviewer
from tests.tui.terminal import FakeModels
from tui.cli import main

Capture = pytest.CaptureFixture[str]

GOOD = [title("Plan for spring"), Text("Two teams work")]
SMALL = [title("Press"), Text("letters far too small", 8)]
TOTALS = [[title("Costs"), Text("Total cost: 1,200 EUR")], [title("Summary"), Text("Total cost: 1,300 EUR")]]


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> FakeModels:
    return FakeModels(monkeypatch, Reviewer())


@pytest.fixture
def deck(tmp_path: Path) -> Path:
    path = tmp_path / "deck.pdf"
    path.write_bytes(pdf_deck([GOOD, SMALL, *TOTALS]))
    return path


def test_what_is_measured_needs_no_model(models: FakeModels, deck: Path, capsys: Capture) -> None:
    assert main(["review", "--no-model", str(deck)]) == 0
    captured = capsys.readouterr()
    headings = [line for line in captured.out.splitlines() if line.startswith("#")]
    assert headings == ["# Review of deck.pdf", "## Slide 2: Press", "## Between slides", "## In short"]
    assert "- **Small text**: “letters far too small”: 8 pt on a slide 540 pt high" in captured.out
    assert "“Total cost: 1,200 EUR” ⇔ “Total cost: 1,300 EUR”" in captured.out
    assert captured.out.endswith("Slides reviewed: 4. Remarks measured: 2.\n")
    assert re.fullmatch(r"plan: 4 slides to look at: about \d+ s\n", captured.err)
    assert models.opened == []
    assert list(jobs_dir().iterdir()) == []


def test_what_the_model_says_stands_apart(models: FakeModels, deck: Path, capsys: Capture) -> None:
    out = deck.with_name("review.md")
    assert main(["review", str(deck), "-o", str(out)]) == 0
    text = out.read_text(encoding="utf-8")
    small = text.split("## Slide 2: Press\n\n")[1].split("\n\n## ")[0]
    measured, said, of_model = small.split("\n\n")
    assert measured.startswith("- **Small text**: ")
    assert said == "*Said by the model, which may be wrong:*"
    assert of_model == "- **Wording**: “letters far too small”: say it in other words xx"
    assert "what nobody wrote" not in text
    assert "- **Contradiction**: Slide 1 “Plan for spring” ⇔ Slide 4 “Summary”: they disagree" in text
    assert "Remarks of the model Fake, which may be wrong: 5." in text
    plan, steps, done = capsys.readouterr().err.splitlines()
    assert plan.startswith("plan: 4 slides to look at: about ")
    assert steps.startswith("plan: 5 steps, ")
    assert done == f"done: {out}: 7 remarks"
    assert not out.with_name("review.md.part").exists()


def test_json_and_some_slides(models: FakeModels, deck: Path, capsys: Capture) -> None:
    assert main(["review", "--json", "--slides", "2-3", str(deck)]) == 0
    review = json.loads(capsys.readouterr().out)
    assert review["slides"] == [2, 3]
    assert review["model"] == "Fake"
    assert [(remark["by"], remark["kind"], remark["slides"]) for remark in review["remarks"]] == [
        ("measured", "small_text", [2]),
        ("model", "wording", [2]),
        ("model", "wording", [3]),
        ("model", "contradiction", [2, 3]),
    ]


def test_in_japanese_with_own_rules(models: FakeModels, deck: Path, capsys: Capture) -> None:
    rules = deck.with_name("own.toml")
    rules.write_text(
        '[limits]\nmin_font_points = 6\nmax_words = 2\n[ja.model]\nslide = "社内の規則"\n', encoding="utf-8"
    )
    assert main(["review", "--rules", str(rules), "--language", "ja", "--slides", "2", str(deck)]) == 0
    out = capsys.readouterr().out
    assert "## スライド2：Press" in out
    assert "- **文字が多い**：5語・2行（2語・15行以内が望ましい）" in out
    assert "文字が小さい" not in out
    assert isinstance(models.backend, Reviewer)
    assert "社内の規則" in models.backend.asked[0]


def test_a_model_that_sees_gets_the_pictures(monkeypatch: pytest.MonkeyPatch, deck: Path, capsys: Capture) -> None:
    backend = Reviewer(sees=True)
    FakeModels(monkeypatch, backend)
    assert main(["review", str(deck)]) == 0
    media = [request.media for request in backend.requests if request.media]
    assert [medium.size for (medium,) in media] == [(2000, 1125)] * 4
    assert len({medium.sha256 for (medium,) in media}) == 4
    assert backend.about() == [[1], [2], [3], [4], [1, 2, 3, 4]]


def test_more_slides_than_fit_are_compared_in_groups(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    backend = Reviewer(2400)
    FakeModels(monkeypatch, backend)
    path = tmp_path / "deck.pdf"
    path.write_bytes(pdf_deck([[title(f"Slide {name}"), *[Text(f"{name} words " * 7)] * 3] for name in "abcdefgh"]))
    assert main(["review", str(path)]) == 0
    groups = [numbers for numbers in backend.about() if len(numbers) > 1]
    assert len(groups) > 1
    assert sorted({number for group in groups for number in group}) == list(range(1, 9))


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_killed_review_goes_on_where_it_was(monkeypatch: pytest.MonkeyPatch, deck: Path, capsys: Capture) -> None:
    out = deck.with_name("review.md")
    command = [sys.executable, "-m", "tests.review.reviewer", "3", str(deck), str(out)]
    assert subprocess.run(command, capture_output=True, timeout=120).returncode == -signal.SIGKILL
    assert "## Slide 2: Press" in out.with_name("review.md.part").read_text(encoding="utf-8")
    backend = Reviewer()
    FakeModels(monkeypatch, backend)
    assert main(["review", str(deck), "-o", str(out)]) == 0
    assert backend.about() == [[4], [1, 2, 3, 4]]
    err = capsys.readouterr().err
    assert "note: goes on with earlier work\n" in err
    assert "plan: 2 steps, " in err
    assert "which may be wrong: 5." in out.read_text(encoding="utf-8")
    assert list(jobs_dir().iterdir()) == []


def test_ctrl_c_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch, deck: Path, capsys: Capture) -> None:
    backend = Reviewer()
    FakeModels(monkeypatch, backend)
    generate = Reviewer.generate

    def interrupted(self: Reviewer, request: object) -> object:
        if len(self.asked) == 2:
            signal.raise_signal(signal.SIGINT)
        return generate(self, request)  # type: ignore[arg-type]

    monkeypatch.setattr(Reviewer, "generate", interrupted)
    assert main(["review", str(deck)]) == 130
    assert "note: not finished: the same command goes on with what is done\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (["--slides", "7-3"], 2, "--slides '7-3': expected a slide or a range"),
        (["--slides", "x"], 2, "--slides 'x': expected a slide or a range"),
        (["--slides", "9"], 1, "it has 4 slides: expected --slides within 1-4"),
        (["--rules", "none.toml"], 1, "none.toml: No such file or directory: expected rules in TOML"),
        (["-o", "deck.pdf"], 1, "it is one of the documents"),
        (["--ocr", "sometimes"], 2, "'sometimes' is not one of"),
    ],
)
def test_wrong_usage_is_told_before_a_model_is_loaded(
    models: FakeModels,
    deck: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
    args: list[str],
    code: int,
    words: str,
) -> None:
    monkeypatch.chdir(deck.parent)
    assert main(["review", "deck.pdf", *args]) == code
    assert words in capsys.readouterr().err
    assert models.opened == []


def test_a_window_that_is_too_small(monkeypatch: pytest.MonkeyPatch, deck: Path, capsys: Capture) -> None:
    FakeModels(monkeypatch, Reviewer(512))
    assert main(["review", str(deck)]) == 1
    assert re.search(r"error: n_ctx = 512: expected at least [\d,]+; choose a larger window", capsys.readouterr().err)


@pytest.mark.weights
def test_with_a_real_model(real_model: Path, deck: Path, capsys: Capture) -> None:
    """A small model says what it likes; what it quotes stands on the slide, and what is measured is as without it."""
    rules = deck.with_name("own.toml")
    rules.write_text("[model]\nmax_remarks = 1\n", encoding="utf-8")
    options = ["--rules", str(rules), "--slides", "2", "-m", str(real_model), "--n-ctx", "2048"]
    assert main(["review", "--json", *options, str(deck)]) == 0
    remarks = json.loads(capsys.readouterr().out)["remarks"]
    assert [remark["kind"] for remark in remarks if remark["by"] == "measured"] == ["small_text"]
    text = "Press letters far too small"
    for remark in remarks:
        if remark["by"] == "model":
            assert all(quote in text for quote in remark["quotes"])
