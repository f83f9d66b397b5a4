"""What of Markdown, HTML and formulas is read out: the words and none of the marks."""

from __future__ import annotations

import pytest

from edgeai.speech.sentences import SentenceStream
from edgeai.speech.speakable import Reader

ENGLISH: dict[str, list[str]] = {
    "# Title\n\nText.\n## Its `code` part ##\n": ["Title", "Text.", "Its code part"],
    "Title\n=====\nText\n---\nMore": ["Title", "Text", "More"],
    "- one\n- **two**\n  - [ ] three\n* four\n1. five": ["one", "two", "three", "four", "1. five"],
    "***both*** and **bold _nested_ words** and ~~gone~~ and __under__.": [
        "both and bold nested words and gone and under."
    ],
    "\\*not bold\\*, 5 \\* 3, ==marked== and H~2~O.": ["not bold, 5 times 3, marked and H2O."],
    'See [a **bold** link](https://x.y "t"), [ref][1] and <https://a.b/c>.\n\n[1]: https://x.y "t"': [
        "See a bold link, ref and a link."
    ],
    "[](x)![](a.png) and ![a cat](b.png)": ["picture and picture: a cat"],
    "A claim[^1] and more.[^note]\n\n[^1]: The note.": ["A claim and more.", "The note."],
    "A claim [report.pdf p. 3] and [2, 3].": ["A claim and."],
    "> quoted\n> goes on\n\nDone.": ["quoted", "goes on", "Done."],
    "<b>Bold</b>,<br/> <script>alert(1)</script>R&amp;D <!-- hidden -->ends.": ["Bold, R&D ends."],
    "<details><summary>More</summary>\nWords.\n</details>": ["More", "Words."],
    "<speak>Hi <break time='1s'/> you</speak> \x1b[31mred\x1b[0m": ["Hi you red"],
    "Nice 😀👍🏽 job ✅ :smile: ❤️!": ["Nice job!"],
    "Term\n: what it means": ["Term", "what it means"],
    "Energy $E = mc^2$ and \\(a+b\\).": ["Energy E equals mc squared and a plus b."],
    "It is $\\frac{1}{2}$ of it.": ["It is a formula of it."],
    "Here:\n$$\nx^2\n$$\nDone. $$y^2$$ is all.": ["Here:", "A formula.", "Done.", "y squared is all."],
    "It costs $5 and $10 at once.": ["It costs $5 and $10 at once."],
    "| a | b |\n|---|---|\n| 1 | 2 |\nAfter.\n\n| c |\n|---|\n": ["A table.", "After."],
    "- item\n  ```sh\n  rm -rf\n  ```\n- next\n~~~\ncode\n~~~\n": ["item", "A code block.", "next"],
    "Press <kbd>Ctrl</kbd>+<kbd>C</kbd>, A -> B.": ["Press Control + C, A to B."],
}
JAPANESE: dict[str, list[str]] = {
    "## 見出し\n- **太字**の`名前`です。\n1. 一つ目": ["見出し", "太字の名前です。", "1. 一つ目"],
    "[案内](https://a.b)とhttps://a.b/cを見る。": ["案内と リンクを見る。"],
    "脚注[^1]です。\n\n[^1]: 注記。": ["脚注です。", "注記。"],
    "```\nx\n```\n| あ |\n|--|\n終わり。": ["コード。", "表。", "終わり。"],
    "これは😀です。<ruby>漢字<rt>かんじ</rt></ruby>": ["これはです。", "かんじ"],
    "式 $\\sqrt{2}$ です。\n$$\nx\n$$\n": ["式  数式  です。", "数式。"],
}


def read(text: str, language: str) -> list[str]:
    stream, reader = SentenceStream(), Reader()
    return [words for unit in (*stream.feed(text), *stream.finish()) if (words := reader.spoken(unit, language))]


@pytest.mark.parametrize("text", ENGLISH)
def test_english(text: str) -> None:
    assert read(text, "en") == ENGLISH[text]


@pytest.mark.parametrize("text", JAPANESE)
def test_japanese(text: str) -> None:
    assert read(text, "ja") == JAPANESE[text]
