"""E-mail messages (RFC 5322, MIME): headers, the best body, the names of attachments, which stay closed."""

from __future__ import annotations

from email import policy
from email.message import EmailMessage
from email.parser import BytesParser

from edgeai.documents.reading.encoding import decode
from edgeai.documents.reading.output import Output
from edgeai.documents.reading.sniff import Hints
from edgeai.errors import DocumentError

_HEADERS = ("From", "To", "Cc", "Date", "Subject")
_MAX_HEADER = 2_000
_MAX_ATTACHMENTS = 500


def read(data: bytes, out: Output, hints: Hints) -> None:
    """Headers as one block, the body as its own kind says, the attachments as a list."""
    message = BytesParser(policy=policy.default).parsebytes(data)
    assert isinstance(message, EmailMessage)
    headers = [(name, _header(message, name)) for name in _HEADERS]
    if not any(value for _, value in headers):
        raise DocumentError("no e-mail: expected headers such as From and Subject at its beginning; save the mail anew")
    out.title = headers[-1][1]
    if out.title:
        out.heading(1, out.title)
    out.text("\n".join(f"{name}: {value}" for name, value in headers if value))
    body = message.get_body(preferencelist=("plain", "html"))
    if isinstance(body, EmailMessage):
        _body(body, out)
    names = [_attachment(part) for part in message.walk() if _is_attachment(part, body)]
    if names:
        out.text("Attachments:\n" + "\n".join(f"- {name}" for name in names[:_MAX_ATTACHMENTS]))


def _body(body: EmailMessage, out: Output) -> None:
    content = body.get_payload(decode=True)
    text = decode(content, body.get_content_charset()) if isinstance(content, bytes) else str(content or "")
    if body.get_content_type() == "text/html":
        from edgeai.documents.reading.html import put_html

        put_html(text, out)
    else:
        for paragraph in text.split("\n\n"):
            out.text(paragraph)


def _header(message: EmailMessage, name: str) -> str:
    """A header on one line; those that break the rules come as they are."""
    try:
        value = message.get(name)
    except Exception:  # noqa: BLE001 - the parser of structured headers fails on hostile ones in many ways
        value = dict(message.raw_items()).get(name)
    return " ".join(str(value or "").split())[:_MAX_HEADER]


def _is_attachment(part: object, body: object) -> bool:
    if not isinstance(part, EmailMessage) or part is body or part.is_multipart():
        return False
    return part.is_attachment() or bool(part.get_filename()) or part.get_content_maintype() != "text"


def _attachment(part: object) -> str:
    assert isinstance(part, EmailMessage)
    name = " ".join((part.get_filename() or "without a name").split())[:200]
    return f"{name} ({part.get_content_type()}, not opened)"
