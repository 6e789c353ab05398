"""XML from machines made fit to be read to its end: encodings, control characters, odd beginnings."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator

PIECE = 1024 * 1024
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # begins with UTF-16's
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_WIDE = ((b"<\0", "utf-16-le"), (b"\0<", "utf-16-be"))
# Only these are looked up: Python's codecs include compressors, which hostile bytes could make explode.
_DECLARED = re.compile(
    rb"""<\?xml[^>]{0,100}?encoding=["'](iso-?8859-\d\d?|windows-125\d|koi8-r|gbk|big5|shift_jis)["']"""
)
# Left out, for its encoding is not true any more, and expat refuses version 1.1 and blanks before it.
_DECLARATION = re.compile(rb"\s*(<\?xml[^>]{0,200}\?>)?\s*")
_CONTROLS = {code: ord("?") for code in range(0x20) if code not in b"\t\n\r"}
_VISIBLE = bytes(_CONTROLS.get(code, code) for code in range(0x100))
_REFERENCE = re.compile(rb"&#(?:x([0-9a-fA-F]{1,8})|([0-9]{1,9}));")
_NONCHARACTERS = (b"\xef\xbf\xbe", b"\xef\xbf\xbf")  # U+FFFE and U+FFFF, which XML forbids


def pieces(content: bytes) -> Iterator[bytes]:
    """The document as valid UTF-8 without byte order mark, leading blanks and XML declaration, in pieces of some MiB.

    Control characters and references that XML forbids are "?"; bytes that do not fit the encoding are U+FFFD.
    """
    plain = _utf8(content).translate(_VISIBLE)
    if b"&#" in plain:  # rare, and the search for them is slow
        plain = _REFERENCE.sub(_allowed, plain)
    for noncharacter in _NONCHARACTERS:
        plain = plain.replace(noncharacter, b"?")
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    beginning = _DECLARATION.match(plain)
    for start in range(beginning.end() if beginning else 0, len(plain), PIECE):
        # Decoded piece by piece: a whole file of 4-byte characters would take four times its size.
        yield decoder.decode(plain[start : start + PIECE]).encode()
    yield decoder.decode(b"", final=True).encode()


def _utf8(content: bytes) -> bytes:
    for mark, encoding in _BOMS:
        if content.startswith(mark):
            return _recoded(content[len(mark) :], encoding)
    for beginning, encoding in _WIDE:
        if content.lstrip().startswith(beginning):
            return _recoded(content.lstrip(), encoding)
    declared = _DECLARED.search(content[:400].lower())
    return _recoded(content, declared[1].decode()) if declared else content


def _recoded(content: bytes, encoding: str) -> bytes:
    try:
        return content if encoding == "utf-8" else content.decode(encoding, "replace").encode("utf-8", "replace")
    except LookupError:  # such as ISO-8859-12, which was never made
        return content


def _allowed(reference: re.Match[bytes]) -> bytes:
    code = int(reference[1], 16) if reference[1] else int(reference[2])
    legal = code in (0x9, 0xA, 0xD) or 0x20 <= code < 0xD800 or 0xE000 <= code < 0xFFFE or 0x10000 <= code < 0x110000
    return reference[0] if legal else b"?"
