"""Redaction: no secret comes through the sanitizer, in none of its usual spellings."""

from __future__ import annotations

import base64
import html
import json
import re
import shlex
from urllib import parse

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accel_ci.domain.errors import ConfigurationError
from accel_ci.formats import redaction
from accel_ci.formats.output import Sanitizer
from accel_ci.formats.redaction import SHORTEST, Redactor
from tests.formats import hostile_lines

SECRET = 'p/s?&"wörd+<9> \\x' + "it's"
SECRETS = st.text(st.characters(codec="ascii", categories=["L", "N", "P", "S"]), min_size=SHORTEST, max_size=30)
NOISE = st.lists(
    st.sampled_from([*'a ="', *hostile_lines.JUNK, *hostile_lines.BREAKS]).map(str.encode) | st.binary(max_size=4),
    max_size=6,
).map(b"".join)


def sanitize(data: bytes, secrets: list[bytes], *, size: int = 1 << 20, line_limit: int = 16384) -> str:
    sanitizer = Sanitizer(secrets, line_limit=line_limit)
    fed = [sanitizer.feed(data[start : start + size]) for start in range(0, len(data), size)]
    return "".join([*fed, sanitizer.flush()])


def forms(secret: str) -> dict[str, str]:
    raw = secret.encode()
    return {
        "as it is": secret,
        "url": parse.quote(secret, safe=""),
        "url path": parse.quote(secret),
        "url form": parse.quote_plus(secret),
        "url in lower case": re.sub("%..", lambda match: match[0].lower(), parse.quote(secret, safe="")),
        "json": json.dumps(secret)[1:-1],
        "json in unicode": json.dumps(secret, ensure_ascii=False)[1:-1],
        "html": html.escape(secret),
        "xml text": html.escape(secret, quote=False),
        "xml with apostrophes": html.escape(secret).replace("&#x27;", "&apos;"),
        "xml with numbers": html.escape(secret).replace("&#x27;", "&#39;"),
        "xml in ascii": html.escape(secret, quote=False).encode("ascii", "xmlcharrefreplace").decode(),
        "python": repr(secret)[1:-1],
        "python in ascii": ascii(secret)[1:-1],
        "python's bytes": repr(raw)[2:-1],
        "python's shell": shlex.quote(secret).removeprefix("'").removesuffix("'"),
        "bash -x": secret.replace("'", r"'\''"),
        "hexadecimal": raw.hex(),
        "capital hexadecimal": raw.hex().upper(),
        "base64": base64.b64encode(raw).decode().rstrip("="),
        "url-safe base64": base64.urlsafe_b64encode(raw).decode().rstrip("="),
    }


@pytest.mark.parametrize("size", [1, 4, 1000])
@pytest.mark.parametrize("form", list(forms(SECRET)))
def test_a_secret_is_hidden_in_every_spelling_and_over_chunk_borders(form: str, size: int) -> None:
    """Programs print secrets as they are, as URLs, JSON, HTML, XML, Python, shells spell them: nothing gets through."""
    line = f"token={forms(SECRET)[form]} end\n".encode()
    assert sanitize(line, [SECRET.encode()], size=size) == "token=*** end\n"


@pytest.mark.parametrize("user", ["", "u", "us", "use", "user:"])
def test_base64_of_more_than_the_secret_hides_it_too(user: str) -> None:
    """A basic-auth header holds the secret at any of three alignments: what is left shows none of its bytes."""
    encoded = base64.b64encode(f"{user}hunter2-hunter2:x".encode()).decode()
    shown = sanitize(f"Authorization: Basic {encoded}".encode(), [b"hunter2-hunter2"])
    assert "***" in shown
    assert base64.b64encode(b"nter2")[1:5].decode() not in shown


@pytest.mark.parametrize("secret", [b"hunter", b"hunter2", b"hunter23"])
def test_base64_of_the_secret_alone_is_hidden_to_its_end(secret: bytes) -> None:
    """Whatever the length, no character that encodes a part of the secret is left."""
    assert sanitize(base64.b64encode(secret), [secret]).replace("=", "") == "***\n"


@pytest.mark.parametrize("width", [64, 76])
@pytest.mark.parametrize("size", [100, 101, 102])
def test_wrapped_base64_is_hidden_line_by_line(size: int, width: int) -> None:
    """`base64` and `openssl base64` break long lines: each is hidden, but for a last one of less than 6 characters."""
    secret = bytes(33 + index * 7 % 90 for index in range(size))
    whole = base64.b64encode(secret).decode()
    wrapped = "".join(f"{whole[start : start + width]}\n" for start in range(0, len(whole), width))
    shown = sanitize(wrapped.encode(), [secret]).split("\n")
    assert shown[0] == "***" and all(len(line.strip("*=")) < SHORTEST for line in shown)


@pytest.mark.parametrize("between", ["\u200d", "\ufeff", "\0", "\x1b[K", "\x1b]0;t\x07", "\x1b[31m", "\u2060\x7f"])
def test_what_cleaning_would_put_together_is_hidden(between: str) -> None:
    """A page shows text without what cannot be seen: a secret that is one only then is found, and hidden."""
    redactor = Redactor([b"hunter2-x"])
    text = f"a hun{between}ter2-x b"
    assert redactor.finds(text) and redactor.hidden(text) == "a *** b"
    assert not redactor.finds("a hunter b") and redactor.hidden("a\0b") == "ab" and Redactor().hidden("a\0b") == "a\0b"


def test_a_secret_is_hidden_between_colours_and_control_characters() -> None:
    """grep --color divides a secret by sequences: it is found across them, and its line loses its colours."""
    raw = b"\x1b[1mok\x1b[m\n\x1b[1mhun\x1b[m\x1b[Kter2\0-x\x1b[m\n"
    assert sanitize(raw, [b"hunter2-x"]) == "\x1b[1mok\x1b[m\n***\n"


def test_overlapping_secrets_leave_no_rest() -> None:
    """Where two secrets share characters, both are hidden as one."""
    assert Redactor([b"abcdef123", b"123456789"]).redact("-abcdef123456789-") == "-***-"
    assert Redactor([b"abababab"]).redact("-ababababab-") == "-***-"


def test_every_long_line_of_a_secret_is_hidden() -> None:
    """A key of many lines is printed line by line; its JSON form is one line."""
    key = "-----BEGIN KEY-----\nMIIEvQIBADANBg\nkqhkiG9w0BAQ\n-----END KEY-----\n"
    assert sanitize(key.encode(), [key.encode()]) == "***\n" * 4
    assert sanitize(json.dumps({"k": key}).encode(), [key.encode()]) == '{"k": "***"}\n'


def test_a_secret_of_bytes_is_hidden_as_it_is_shown() -> None:
    """A secret that is no UTF-8 is hidden in the replaced form in which it would appear."""
    assert sanitize(b"<\xe2key\xffkey\xc3>", [b"\xe2key\xffkey\xc3"]) == "<\ufffd***\ufffd>\n"


@pytest.mark.parametrize("secret", [b"", b"12345", b"  123  ", b"a\nb\nc\nd"])
def test_a_secret_too_short_to_hide_is_refused(secret: bytes) -> None:
    """Hiding it would hide ordinary text: the user is told, and the secret is not repeated."""
    with pytest.raises(ConfigurationError, match="no line of at least 6 characters") as refused:
        Redactor([secret])
    assert "12345" not in str(refused.value) + refused.value.what_to_do


@pytest.mark.parametrize("offset", range(60, 130))
def test_a_cut_line_shows_no_part_of_a_secret(offset: int) -> None:
    """Neither the line limit nor the window behind it can show the first half of a secret."""
    line = b"x" * offset + b"hunter2-hunter2-hunter2" + b"y" * 300
    assert "hun" not in sanitize(line, [b"hunter2-hunter2-hunter2"], line_limit=100)
    hidden = line.replace(b"x", b"\0x\0")
    assert "hun" not in sanitize(hidden, [b"hunter2-hunter2-hunter2"], line_limit=100)


def test_a_secret_divided_by_a_separator_in_a_cut_line_is_hidden() -> None:
    """Where a cut line shows a space for a separator, a secret with that space is hidden too."""
    shown = sanitize("hunter\u2028two ".encode() + b"x" * 200, [b"hunter two"], line_limit=50)
    assert shown.startswith("*** x")


def test_secrets_do_not_shorten_what_a_cut_line_shows() -> None:
    """With or without secrets a long line shows as many characters as the limit says."""
    assert sanitize(b"x" * 1000, [b"hunter2" * 20], line_limit=100) == "x" * 100 + " [900 characters cut]\n"


@given(SECRETS, NOISE, NOISE, st.integers(1, 40), st.integers(1, 200))
@settings(max_examples=400)
def test_redaction_is_complete_anywhere(secret: str, before: bytes, after: bytes, size: int, limit: int) -> None:
    """Whatever stands around a secret, and however it is cut into chunks and lines, no spelling of it comes out."""
    for form in forms(secret).values():
        log = before + form.encode() + after
        shown = sanitize(log, [secret.encode()], size=size, line_limit=limit)
        assert form not in shown
        assert shown == sanitize(log, [secret.encode()], line_limit=limit)


def test_text_without_secrets_is_left_alone() -> None:
    """Words that merely look like a secret stay, and no secrets cost nothing."""
    assert Redactor([b"hunter2"]).redact("hunter hunter-2 Hunter2\n") == "hunter hunter-2 Hunter2\n"
    assert Redactor().redact("anything") == "anything"


LONG = b"a rather long secret"


@given(
    st.lists(
        st.sampled_from([LONG, b"before ", b"a rather long", b" secre", b"\n", b"t", b"YSByYXRoZXIg", b"\x1b[1m"]),
        max_size=12,
    ),
    st.data(),
)
def test_masked_bytes_do_not_depend_on_the_chunks(parts: list[bytes], data: st.DataObject) -> None:
    """Cut anywhere, the stream keeps its length, shows no secret, and is what it is when it comes at once."""
    whole, rest, chunks = b"".join(parts), b"".join(parts), list[bytes]()
    while rest:
        size = data.draw(st.integers(1, 9))
        chunks, rest = [*chunks, rest[:size]], rest[size:]
    masker, once = redaction.Masker([LONG]), redaction.Masker([LONG])
    masked = b"".join([*map(masker.feed, chunks), masker.flush()])
    assert masked == once.feed(whole) + once.flush()
    bare = whole.replace(b"\x1b[1m", b"")
    assert len(masked) == len(whole) and LONG not in masked.replace(b"\x1b[1m", b"")
    covered = masked.count(b"*") - len(LONG) * bare.count(LONG)
    assert covered % 4 == 0 and 0 <= covered <= len(whole) - len(bare)  # whole sequences, and nothing else


def test_only_the_line_with_a_secret_loses_its_colours() -> None:
    """Among many lines, with and without colours, before and after it, the right one is found."""
    lines = [f"\x1b[32mline {number}\x1b[m" for number in range(50)]
    shown = Redactor([LONG]).redact("\n".join([*lines, f"\x1b[1m{LONG.decode()}\x1b[m", "", *lines, ""]))
    assert shown.split("\n") == [*lines, "***", "", *lines, ""]


@given(st.lists(st.sampled_from([b"\x1b", b"[", b"1", b"m", b"\n", b"\r", b"\0", b"secret"]) | st.binary(max_size=3)))
def test_what_is_looked_for_has_neither_colours_nor_breaks(parts: list[bytes]) -> None:
    """So a secret is looked for in the text without its colours, and never goes over the end of a line."""
    masks = redaction.Masks()
    masks.add((b"secret-secret" + b"".join(parts)).decode("utf-8", "surrogateescape"))
    assert masks._redactor._needles
    assert not any(set("\x1b\n\r") & set(needle) for needle in masks._redactor._needles)


@pytest.mark.parametrize("size", [1, 7, 64, 10_000])
def test_long_lines_of_colours_are_masked_to_their_end(size: int) -> None:
    """Where little of a chunk is seen, as many seen bytes are held back as a secret may have."""
    log = (
        b"\n"
        + b"\x1b[32m.\x1b[m" * 300
        + b"\x1b[1m".join(bytes([byte]) for byte in LONG)
        + b"\x1b[m" * 200
        + b"\nend\n"
    )
    masker = redaction.Masker([LONG])
    masked = b"".join(masker.feed(log[start : start + size]) for start in range(0, len(log), size)) + masker.flush()
    covered = len(LONG) + len(b"\x1b[1m") * (len(LONG) - 1)
    assert masked == b"\n" + b"\x1b[32m.\x1b[m" * 300 + b"*" * covered + b"\x1b[m" * 200 + b"\nend\n"


def test_masks_hide_every_spelling_and_each_line() -> None:
    """As the redactor does: base64, URL, JSON, and the lines of a key each for itself."""
    masker = redaction.Masker([b"first line of it\nsecond line of it"])
    text = b"x first line of it y\n%s\n" % base64.b64encode(b"first line of it\nsecond line of it")
    masked = masker.feed(text) + masker.flush()
    assert masked.startswith(b"x **************** y\n****") and b"line" not in masked and len(masked) == len(text)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 1000])
def test_a_secret_between_colours_is_masked(size: int) -> None:
    """What `grep --color` puts into a secret is covered with it, wherever a chunk ends; the length stays."""
    log = b"ok \x1b[1mhun\x1b[m\x1b[Kter2\0-x\x1b[m and hunter2-x\n"
    masker = redaction.Masker([b"hunter2-x"])
    masked = b"".join(masker.feed(log[start : start + size]) for start in range(0, len(log), size)) + masker.flush()
    assert masked == b"ok \x1b[1m" + b"*" * 16 + b"\x1b[m and *********\n"


@pytest.mark.parametrize("size", [1, 4, 1000])
def test_a_secret_that_tput_colours_is_masked(size: int) -> None:
    """`tput sgr0` ends a colour with a sequence that chooses letters: it is covered, too, wherever a chunk ends."""
    log = b"hun\x1b[1mter2\x1b(B\x1b[m-x\n"
    masker = redaction.Masker([b"hunter2-x"])
    masked = b"".join(masker.feed(log[start : start + size]) for start in range(0, len(log), size)) + masker.flush()
    assert masked == b"*" * (len(log) - 1) + b"\n"


@pytest.mark.parametrize("unseen", [b"\0", b"\x1b", b"\x1b[0m", b"\x1b(B"])
def test_output_that_never_shows_a_byte_is_not_kept(unseen: bytes) -> None:
    """`echo hi; cat /dev/zero`: what is held back, and so the time for each chunk, stays bounded."""
    masker, chunk, passed = redaction.Masker([LONG]), unseen * (65536 // len(unseen)), 0
    for _ in range(100):
        passed += len(masker.feed(b"hi\nh" + chunk))
        assert len(masker._held) < 16 * 1024
    assert passed + len(masker.flush()) == 100 * (4 + len(chunk))


def test_a_job_is_told_what_to_hide() -> None:
    """Long lines come back, once each; what is too short to hide is left alone, and nothing is raised."""
    masks = redaction.Masks()
    assert masks.add("first line\n{\n  second line\nfirst line\n}\n") == ["first line", "second line"]
    assert masks.add("short") == [] and masks.add("caf\udce9-secret") == ["caf\udce9-secret"]
    assert masks.hidden("a first line, {short} second line") == "a ***, {short} ***"


def test_without_secrets_bytes_pass_at_once() -> None:
    """Nothing is held back, and nothing changed."""
    masker = redaction.Masker()
    assert (masker.feed(b"any \xff bytes"), masker.flush()) == (b"any \xff bytes", b"")
