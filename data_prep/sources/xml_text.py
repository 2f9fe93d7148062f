"""Makes UTF-8 of XML that a strict parser refuses, and the SSD fork's reader takes."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator

# By the first bytes of a file; those of UTF-32 begin with those of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_DECLARED = re.compile(rb"\s*<\?xml\b[^>]*?\bencoding\s*=\s*[\"']([\w.:+-]+)")
_DECLARATION = re.compile(r"\ufeff?\s*<\?xml\b.*?\?>\s*", re.DOTALL)
# Software that declares the left one also writes characters of the right one alone.
_LARGER = {"gb2312": "gb18030", "gbk": "gb18030", "euc_kr": "cp949", "shift_jis": "cp932"}
_WIDE = re.compile("[\u0800-\uffff]")  # three bytes each in UTF-8
# Letters, and signs that stand in words and beside numbers.
_WESTERN = re.compile("[A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u00ffŠšŒœŸŽžªº°ß–—‘’“”€£\u00a0]*")
_BARE = re.compile(r"&(?!(?:amp|lt|gt|quot|apos|#\d+|#x[0-9A-Fa-f]+);)")
_NO_NEW_LINE = re.compile(r"[^\r\n]")


def as_utf8(data: bytes) -> tuple[bytes, str]:
    """Return XML as UTF-8 without its declaration, every line where it was, and a note.

    It takes the encoding of the byte order mark, else the declared one, else UTF-8, else the
    likeliest. An ampersand that stands for itself is escaped.

    Returns a note that names an encoding which the file does not declare; "" where none is needed.
    Source: boost/property_tree/detail/rapidxml.hpp, for what the fork's reader takes.
    """
    text, note = _decoded(data)
    text = _DECLARATION.sub(lambda found: _NO_NEW_LINE.sub(" ", found[0]), text, count=1)
    return _BARE.sub("&amp;", text).encode("utf-8", "replace"), note


def _decoded(data: bytes) -> tuple[str, str]:
    """Return the text of a file, and as_utf8's note."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            try:
                return data.decode(encoding), ""
            except UnicodeDecodeError:
                break
    declared = _declared(data)
    text = None
    if declared:
        text = _attempt(data, declared)
    as_utf_8 = _attempt(data, "utf-8")
    # Editors save as UTF-8, and leave a Chinese declaration as it was.
    if as_utf_8 is not None and (text is None or _WIDE.search(as_utf_8)):
        if declared in ("", "utf-8"):
            return as_utf_8, ""
        return as_utf_8, "read as UTF-8, which it does not declare"
    if text is not None:
        return text, ""
    encoding, text = next(_guesses(data))
    return text, f"not UTF-8: read as {encoding}"


def _declared(data: bytes) -> str:
    """Return the encoding that a file declares, in Python's words.

    Returns "" for none, for an unknown one, and for one in which the declaration itself could not
    be read: .NET declares UTF-16 in files of UTF-8.
    """
    found = _DECLARED.match(data)
    if not found:
        return ""
    try:
        name = codecs.lookup(found[1].decode("ascii")).name.replace("-", "_")
        if "<?xml".encode(name) != b"<?xml":
            return ""
    except (LookupError, ValueError):
        return ""
    return _LARGER.get(name, name.replace("_", "-"))


def _attempt(data: bytes, encoding: str) -> str | None:
    """Return data as text; None where it is not of this encoding."""
    try:
        return data.decode(encoding)
    except (LookupError, ValueError):
        return None


def _guesses(data: bytes) -> Iterator[tuple[str, str]]:
    """Yield encodings that a file may be of, the likeliest first, and its text in each."""
    chinese = _attempt(data, "gb2312")
    if chinese is not None:
        yield "gb2312", chinese
    western = _attempt(data, "cp1252")
    if western is not None:
        foreign = "".join(character for character in western if character > "\x7f")
        if _WESTERN.fullmatch(foreign):
            yield "cp1252", western
    chinese = _attempt(data, "gb18030")
    if chinese is not None:
        yield "gb18030", chinese
    yield "latin-1", data.decode("latin-1")
