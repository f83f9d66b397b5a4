"""Markdown to rows."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from tui.markdown import MAX_MARKDOWN, MarkdownStream, parse_markdown
from tui.markdown_rows import Document
from tui.rows import Row, wrap_rows

SAMPLE = """# Title

A **bold**, *italic* and `code` text
with a second line and a [link](http://x.example/a).

1. first
   - nested
2. second

> quoted

```python
def f(x):
	return x
```

| a | b |
|---|---|
| 1 | 日本 |

<b>raw</b> &amp; ~~gone~~

---
end
"""


def shown(document: Document, width: int = 60) -> list[str]:
    """The lines as the screen shows them, without their right ends."""
    lines = []
    for line in wrap_rows(document.rows, width):
        indent = " " * line.row.hang if line.start else ""
        lines.append((line.row.left.plain + indent + line.row.content.plain[line.start : line.end]).rstrip())
    return lines


def styles_of(document: Document, text: str) -> set[str]:
    """The styles of the first row with this text, where it stands."""
    for row in document.rows:
        if isinstance(row, Row) and (start := row.content.plain.find(text)) >= 0:
            end = start + len(text)
            return {str(span.style) for span in row.content.spans if span.start <= start and span.end >= end}
    raise AssertionError(f"{text!r} is not shown")


def test_blocks() -> None:
    assert shown(parse_markdown(SAMPLE)) == [
        "Title",
        "",
        "A bold, italic and code text",
        "with a second line and a link (http://x.example/a).",
        "",
        "1. first",
        "   ◦ nested",
        "2. second",
        "",
        "▎ quoted",
        "",
        " python",
        " def f(x):",
        "     return x",
        "",
        "a │ b",
        "──┼─────",
        "1 │ 日本",
        "",
        "<b>raw</b> & gone",
        "",
        "─" * 24,
        "",
        "end",
        "",
    ]


def test_inline_styles() -> None:
    document = parse_markdown(SAMPLE)
    assert "bold" in styles_of(document, "bold")
    assert "italic" in styles_of(document, "italic")
    assert ".md-code-inline" in styles_of(document, "code")
    assert ".md-link" in styles_of(document, "link")
    assert "strike" in styles_of(document, "gone")
    assert ".md-h1" in styles_of(document, "Title")


def test_code_is_kept_exactly_and_coloured() -> None:
    document = parse_markdown("```python\nx = 1\n\ny = 2\n```\n\n    indented\n")
    assert document.code == ["x = 1\n\ny = 2", "indented"]
    assert len(styles_of(document, "1")) > 1
    assert [row.fill for row in document.rows if isinstance(row, Row)].count(".md-code") == 5


@pytest.mark.parametrize(
    "text",
    [
        "[bold red]x[/]",
        "[@click=app.quit]x[/]",
        "<script>alert(1)</script>",
        "<!-- hidden -->",
        "[1]: http://x.example",
        "$primary [$error]",
    ],
)
def test_markup_and_html_are_text(text: str) -> None:
    document = parse_markdown(text)
    assert shown(document) == [text, ""]
    assert all("@click" not in str(span) for row in document.rows if isinstance(row, Row) for span in row.content.spans)


@pytest.mark.parametrize(
    "text",
    [
        "a\x1b[2Jb",
        "a\x1b]0;owned\x07b",
        "`a\x9bb`",
        "a&#27;[2Jb &#x202e;",
        "[a](http://x/&#27;c)",
        "```&#27;[31m\ncode\x1b[0m\n```",
        "![&#27;](x)",
        "|a\x1bb|\n|-|\n|&#27;c|",
        "a\u202eb\u2066c",
    ],
)
def test_nothing_a_terminal_acts_on_is_shown(text: str) -> None:
    lines = "".join(shown(parse_markdown(text)))
    assert not set(lines) & set("\x1b\x07\x9b\x00\u202e\u2066")


def test_a_link_shows_where_it_leads() -> None:
    assert shown(parse_markdown("[my bank](http://evil.example)"))[0] == "my bank (http://evil.example)"
    assert shown(parse_markdown("<http://x.example>"))[0] == "http://x.example"
    assert shown(parse_markdown("[x](javascript:alert(1))"))[0] == "[x](javascript:alert(1))"


def test_hanging_indents_and_wide_characters() -> None:
    assert shown(parse_markdown("1. これは長い文章なので折り返される\n"), 20) == [
        "1. これは長い文章な",
        "   ので折り返される",
        "",
    ]


def test_a_table_fits_its_width() -> None:
    table = "| name | what |\n|---|---|\n| 日本 | a rather long cell that has to wrap |\n"
    assert shown(parse_markdown(table), 25) == [
        "name │ what",
        "─────┼───────────────────",
        "日本 │ a rather long cell",
        "     │ that has to wrap",
        "",
    ]


@pytest.mark.parametrize(
    "text", ["> " * 50 + "deep", "1. " * 50 + "deep", "".join(f"{'  ' * n}- item {n}\n" for n in range(30)) + "deep"]
)
def test_what_nests_too_deep_is_shown_as_written(text: str) -> None:
    lines = shown(parse_markdown(f"before\n\n{text}\n\n# after"), 200)
    assert lines[0] == "before"
    assert lines[2].startswith(text[:8])
    assert any("deep" in line for line in lines)
    assert any("after" in line for line in lines)


ALPHABET = "ab \n\t`*_[]()<>#-|!&;:\\~1.日👍\x1b\u202e\r\u2028"


@given(st.text(ALPHABET, max_size=200), st.integers(4, 40))
def test_any_text_is_drawn_within_its_width(text: str, width: int) -> None:
    for line in wrap_rows(parse_markdown(text).rows, width):
        content = line.row.content.plain[line.start : line.end]
        assert not set(content) & set("\x1b\r\n\t\u202e\u2028")
        n_cells = line.row.left.cell_length + (line.row.hang if line.start else 0) + cell_len(content.rstrip())
        assert n_cells <= width or line.row.left.cell_length + line.row.hang > width - 4


def test_a_very_long_text_is_shown_as_it_is() -> None:
    document = parse_markdown("**x** " * (MAX_MARKDOWN // 6 + 1))
    assert isinstance(document.rows[0], Row)
    assert document.rows[0].content.plain.startswith("**x**")


def test_a_stream_that_grows_very_long_shows_everything_once() -> None:
    stream = MarkdownStream()
    stream.append("# first\n\nsecond\n\n")
    finished, rest = stream.append("third " * (MAX_MARKDOWN // 6))
    lines = shown(Document([*finished.rows, *rest.rows]), 10**7)
    assert [line[:5] for line in lines if line] == ["first", "secon", "third"]


def streamed(text: str, sizes: list[int]) -> Document:
    stream, position = MarkdownStream(), 0
    finished, rest = Document(), Document()
    for size in [*sizes, len(text)]:
        finished, rest = stream.append(text[position : position + size])
        position += size
    return Document([*finished.rows, *rest.rows], [*finished.code, *rest.code])


PIECES = st.sampled_from(
    [
        "# h",
        "word ",
        "\n",
        "\n\n",
        "- a",
        "1. b",
        "> q",
        "```",
        "```py\n",
        "    ",
        "| a | b |\n",
        "|---|---|\n",
        "**b**",
        "`c`",
        "---\n",
        "<b>",
        "日本",
    ]
)


@settings(max_examples=300)
@example("- a# h\n**b**", [8])
@given(st.lists(PIECES, max_size=25).map("".join), st.lists(st.integers(1, 9), max_size=30))
def test_a_streamed_text_ends_as_the_same_document(text: str, sizes: list[int]) -> None:
    whole, parts = parse_markdown(text), streamed(text, sizes)
    assert shown(parts) == shown(whole)
    assert parts.code == whole.code
