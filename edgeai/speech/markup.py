"""A sentence without its markup: Markdown, tags, links, citation marks, emoji and what is invisible."""

from __future__ import annotations

import html
import re
import unicodedata

from edgeai.safe_text import plain

_IMAGE_WORD = {"en": "picture", "ja": "画像"}
_FORMULA_WORD = {"en": "a formula", "ja": "数式"}
_LINK_WORD = {"en": "a link", "ja": "リンク"}
_TO = {"en": " to ", "ja": "から"}

_TARGET = r"\([^()\s]{0,2000}(?:\([^()\s]{0,200}\)[^()\s]{0,200})?(?:\s[^()]{0,200})?\)"
_IMAGE = re.compile(rf"!\[([^\]\n]{{0,300}})\]{_TARGET}")
_LINK = re.compile(rf"\[([^\]\n]{{0,300}})\](?:{_TARGET}|\[[^\]\n]{{0,100}}\])")
_URL = re.compile(
    r"<?(?<![A-Za-z\d])(?:(?:https?|ftp|file)://|www\.)[^\s<>()\u2e80-\u9fff\uf900-\uffff]{1,2000}(?:\([^\s()]{1,200}\))?>?"
)
_URL_END = re.compile(r"[.,;:!?'\"*_>]+$")
_PLACE = r"(?:pp?|ll?|ch|slide|sheet|row|sec)\.?\s?\d[^\[\]\n]{0,40}"
_DEFINITION = re.compile(r"^ {0,3}\[\^[^\[\]\n]{1,60}\]:\s?|^ {0,3}\[[^\[\]\n]{1,60}\]:\s.{0,2000}", re.MULTILINE)
_FOOTNOTE = re.compile(r"\s?\[\^[^\[\]\s]{1,60}\]")
_FORMULA = re.compile(
    r"\$\$(.{1,400}?)\$\$|(?<![\\$\w])\$(?=\S)([^$\n]{1,400}?)(?<=[^\s\\])\$(?!\w)|\\\((.{1,400}?)\\\)|\\\[(.{1,400}?)\\\]"
)
_SHORTCODE = re.compile(r"(?<![\w:]):[a-z][a-z\d_+-]{1,40}:(?![\w:])")
_CITATION = re.compile(
    rf"\s?\[(?:[^\[\]\n]{{1,120}}?(?:[\s,]{_PLACE}|\.[A-Za-z]\w{{1,4}})|\^?\d{{1,3}}(?:[,–-]\s?\d{{1,3}})*)\]"
)
_UNREAD = re.compile(r"<(script|style|rp)\b[^<>]{0,400}>.{0,2000}?</\1\s*>", re.DOTALL | re.IGNORECASE)
_RUBY = re.compile(r"([^<>]{1,60})(?:<rp>[^<>]{0,9}</rp>)?<rt>([^<>]{0,60})</rt>")
_TAG = re.compile(r"<!--.{0,2000}?-->|<[/!?]?[A-Za-z][^<>\n]{0,400}>", re.DOTALL)
_LINE_MARKS = re.compile(
    r"^[ \t]*(?:>[ \t]?)*(?:#{1,6}[ \t]+|[-*+•‣◦][ \t]+(?:\[[ xX]\][ \t]+)?|[-*_=]{3,}[ \t]*$)?", re.MULTILINE
)
_PAIRS = re.compile(
    r"(?<![\d\\])\*(?=[^\s*])([^*\n]{1,300})(?<=\S)\*(?!\d)|(?<!\w)_(?=[^\s_])([^\n]{1,300}?)(?<=\S)_(?!\w)"
)
_DOUBLED = re.compile(r"\*{2,}|~~|(?<!\w)__|__(?!\w)|`|(?<![\w=])==(?=[\w*])|(?<=[\w*])==(?![\w=])")
_RAISED = re.compile(r"(?<=\w)(?:~(\w{1,9})~|\^([A-Za-z]{1,9})\^)(?!\d)")
_HEADING_END = re.compile(r"^([ \t>]*#{1,6}[ \t].*?)[ \t]+#+[ \t]*$", re.MULTILINE)
_FIRST_MARKS = re.compile(r"^[\s:;,]+")
_EDGES = re.compile(r"(?<!\S)[*_]+(?=\w)|(?<=[\w.,!?。！？])[*_]+(?!\S)")
_ESCAPED = re.compile(r"\\([\\`*_{}\[\]()#+.!|>~-])")
_BREAK = re.compile(r"\s*\n\s*")
_ARROW = re.compile(r"\s*(?:[→⇒➜➔]|(?<=\s)[-=]+>(?=\s))\s*")
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0"
    "\U000e0000-\U000e0fff]"
)
_EMOJI = re.compile(
    "[\u20e3\u2190-\u21ff\u231a-\u23ff\u25a0-\u27bf\u2900-\u297f\u2b00-\u2bff\u3030\u303d\u3297\u3299\ue000-\uf8ff"
    "\ufffc\ufffd\U0001f000-\U0001faff]"
)


def without_markup(text: str, language: str) -> str:
    """The words of a sentence, as they are written, in one line.

    Args:
        text: one sentence of text or Markdown.
        language: of the few words that are put in place of a bare address or a picture, "en" or "ja".
    """
    text = unicodedata.normalize("NFC", _INVISIBLE.sub("", plain(text)))
    text = _IMAGE.sub(lambda match: _image(match[1], language), _DEFINITION.sub("", text))
    text = _CITATION.sub("", _FOOTNOTE.sub("", _LINK.sub(r"\1", text)))
    text = _URL.sub(lambda match: _link(match.group(), language), text)
    text = _FORMULA.sub(lambda match: _formula("".join(filter(None, match.groups())), language), text)
    text = _TAG.sub(" ", _RUBY.sub(r"\2", _UNREAD.sub(" ", text)))
    text = _INVISIBLE.sub("", plain(html.unescape(text)))
    text = _DOUBLED.sub("", _LINE_MARKS.sub("", _HEADING_END.sub(r"\1", text)))
    for _ in range(2):  # marks may stand in marks
        text = _PAIRS.sub(lambda match: match[1] or match[2], text)
    text = _ESCAPED.sub(r"\1", _EDGES.sub("", _RAISED.sub(r"\1\2", text)))
    space = "" if language == "ja" else " "
    text = _EMOJI.sub(space, _SHORTCODE.sub(space, _ARROW.sub(_TO[language], text)))
    return _FIRST_MARKS.sub("", _BREAK.sub(space, text)).strip()


def _image(words: str, language: str) -> str:
    return f"{_IMAGE_WORD[language]}: {words}" if words.strip() else _IMAGE_WORD[language]


def _formula(source: str, language: str) -> str:
    """What is written plainly can be read; commands cannot."""
    return f" {_FORMULA_WORD[language]} " if re.search(r"[\\{}_&]", source) else source


def _link(address: str, language: str) -> str:
    """A bare address is not spelled out; what ends the sentence after it stays."""
    end = _URL_END.search(address)
    return f" {_LINK_WORD[language]}{end.group().replace('>', '') if end else ''}"
