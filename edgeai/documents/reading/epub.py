"""EPUB: the pages of its spine, in order, which are HTML; chapters are named by its table of contents.

Source: EPUB 3.3 (W3C), sections 4.2.6.3.1, 5, 7; NCX of EPUB 2.
"""

from __future__ import annotations

import posixpath
import zipfile
from urllib.parse import unquote
from xml.etree import ElementTree

from edgeai.documents.reading.encoding import decode
from edgeai.documents.reading.html import declared_charset, put_html
from edgeai.documents.reading.output import Output
from edgeai.documents.reading.package import local_name, opened, parse_xml
from edgeai.documents.reading.sniff import Hints
from edgeai.errors import DocumentError

_FONTS = ("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC")


def read(data: bytes, out: Output, hints: Hints) -> None:
    """The blocks of each page under the name of its chapter, unless the page has headings."""
    with opened(data) as book:
        _refuse_locked(book)
        folder, package = _package(book)
        out.title = next((_text(node) for node in package.iter() if local_name(node) == "title"), "")
        items = {node.get("id", ""): node for node in package.iter() if local_name(node) == "item"}
        spine = [items.get(node.get("idref", "")) for node in package.iter() if local_name(node) == "itemref"]
        chapters = _chapters(book, folder, list(items.values()))
        pages = [item for item in spine if item is not None and "html" in item.get("media-type", "")]
        if not pages:
            raise DocumentError("it has no pages: expected an EPUB with a spine; fetch the book again")
        for number, item in enumerate(pages):
            name = _within(folder, item.get("href", ""))
            page = book.read(name)
            text = decode(page, declared_charset(page))
            if name in chapters and not any(f"<{tag}" in text.lower() for tag in ("h1", "h2", "h3")):
                out.heading(1, chapters[name])
            put_html(text, out)
            out.progress(number + 1, len(pages))


def _refuse_locked(book: zipfile.ZipFile) -> None:
    if "META-INF/encryption.xml" not in book.namelist():
        return
    methods = [
        node.get("Algorithm", "")
        for node in parse_xml(book.read("META-INF/encryption.xml")).iter()
        if local_name(node) == "EncryptionMethod"
    ]
    if any(method not in _FONTS for method in methods):
        raise DocumentError("it is encrypted (DRM): expected a book without a lock; get it without DRM")


def _package(book: zipfile.ZipFile) -> tuple[str, ElementTree.Element]:
    """The folder of the book's description, and the description."""
    container = parse_xml(book.read("META-INF/container.xml"))
    name = next((node.get("full-path", "") for node in container.iter() if local_name(node) == "rootfile"), "")
    return posixpath.dirname(name), parse_xml(book.read(name))


def _chapters(book: zipfile.ZipFile, folder: str, items: list[ElementTree.Element]) -> dict[str, str]:
    """The names of chapters by the page where they begin, of whichever table of contents there is."""
    found: dict[str, str] = {}
    for item in items:
        is_nav = "nav" in item.get("properties", "").split()
        if not is_nav and item.get("media-type") != "application/x-dtbncx+xml":
            continue
        name = _within(folder, item.get("href", ""))
        try:
            tree = parse_xml(book.read(name))
        except (KeyError, ElementTree.ParseError):  # a book can be read without
            continue
        for href, title in _links(tree) if is_nav else _points(tree):
            found.setdefault(_within(posixpath.dirname(name), href), title)
    return found


def _links(tree: ElementTree.Element) -> list[tuple[str, str]]:
    return [(node.get("href", ""), _text(node)) for node in tree.iter() if local_name(node) == "a"]


def _points(tree: ElementTree.Element) -> list[tuple[str, str]]:
    found = []
    for point in (node for node in tree.iter() if local_name(node) == "navPoint"):
        labels = [_text(node) for node in point if local_name(node) == "navLabel"]
        places = [node.get("src", "") for node in point if local_name(node) == "content"]
        if labels and places:
            found.append((places[0], labels[0]))
    return found


def _text(node: ElementTree.Element) -> str:
    return " ".join("".join(node.itertext()).split())


def _within(folder: str, href: str) -> str:
    """The name in the package that a link leads to."""
    return posixpath.normpath(posixpath.join(folder, unquote(href.partition("#")[0])))
