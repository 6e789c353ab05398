"""libsodium's boxes: what one key seals the other opens, and nothing else does."""

from __future__ import annotations

import base64
import resource
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accel_ci.adapters import sealed_box
from accel_ci.domain.errors import ConfigurationError
from accel_ci.domain.sealed import NotOursError

PRIVATE = sealed_box.new_private_key()
PUBLIC = sealed_box.public_key(PRIVATE)


@given(st.binary(max_size=1000))
@settings(max_examples=30)
def test_there_and_back(content: bytes) -> None:
    """Any content; the same content never makes the same box."""
    boxes = [sealed_box.seal(content, PUBLIC) for _ in range(2)]
    assert [sealed_box.open_box(box, PRIVATE) for box in boxes] == [content, content] and boxes[0] != boxes[1]


def test_another_key_opens_nothing() -> None:
    """Nor does the public one, which everybody has."""
    box = sealed_box.seal(b"content", PUBLIC)
    for key in (sealed_box.new_private_key(), PUBLIC):
        with pytest.raises(NotOursError):
            sealed_box.open_box(box, key)


def test_a_changed_box_does_not_open() -> None:
    """One bit anywhere, a byte more, a byte less, and text that is no box at all."""
    raw = base64.b64decode(sealed_box.seal(b"content", PUBLIC))
    changed = [raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :] for at in range(len(raw))]
    texts = [base64.b64encode(each).decode() for each in (*changed, raw + b"\0", raw[:-1], raw[:10], b"")]
    for text in (*texts, "no base64", "ä"):
        with pytest.raises(NotOursError):
            sealed_box.open_box(text, PRIVATE)


@pytest.mark.parametrize("text", ["", "short", "a" * 44, base64.b64encode(b"x" * 31).decode(), "-----BEGIN KEY-----"])
def test_what_is_no_key_is_never_shown(text: str) -> None:
    """A key that was pasted in part is still a secret."""
    for call in (
        sealed_box.public_key,
        lambda key: sealed_box.seal(b"", key),
        lambda key: sealed_box.open_box("", key),
    ):
        with pytest.raises(ConfigurationError, match="is no key") as error:
            call(text)
        assert not text or text not in str(error.value)


def test_the_private_key_is_ours_alone(tmp_path: Path) -> None:
    """0600 from the first byte; an older key is never overwritten, not through a link either."""
    file = tmp_path / "key"
    sealed_box.keep(PRIVATE, str(file))
    assert file.stat().st_mode & 0o777 == 0o600 and file.read_text() == f"{PRIVATE}\n"
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for taken in (file, tmp_path / "link"):
        with pytest.raises(ConfigurationError, match="cannot be written") as error:
            sealed_box.keep(PRIVATE, str(taken))
        assert PRIVATE not in str(error.value)
    assert not (tmp_path / "elsewhere").exists()


def test_half_a_key_is_no_key(tmp_path: Path) -> None:
    """Where the disk is full nothing is left that the next keygen would keep for a key."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        with pytest.raises(ConfigurationError, match="File too large"):
            sealed_box.keep(PRIVATE, str(tmp_path / "key"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []
