"""libsodium's sealed boxes, through PyNaCl: https://doc.libsodium.org/public-key_cryptography/sealed_boxes

Whoever has the public key can seal, only the private key opens; a changed box does not open at all.
"""

from __future__ import annotations

import base64
import os
from typing import Any

from accel_ci.domain.errors import ConfigurationError
from accel_ci.domain.sealed import NotOursError

KEY_BYTES = 32
KEY_FILE = "accel-ci.key"
KEEP = "keep it: accel-ci secrets keygen makes a new pair, and what was sealed for the old one is lost"
ELSEWHERE = "name another file in `--key-file`"


def new_private_key() -> str:
    """A new private key, in base64."""
    return _text(bytes(_nacl().PrivateKey.generate()))


def public_key(private: str) -> str:
    """The public key of a private one; both in base64."""
    return _text(bytes(_nacl().PrivateKey(_key(private, "private")).public_key))


def seal(content: bytes, public: str) -> str:
    """The box, in base64."""
    nacl = _nacl()
    return _text(bytes(nacl.SealedBox(nacl.PublicKey(_key(public, "public"))).encrypt(content)))


def open_box(box: str, private: str) -> bytes:
    """What was sealed; NotOursError when it was for another key, or is no box. ConfigurationError for what is no key."""
    nacl = _nacl()
    from nacl.exceptions import CryptoError

    opener = nacl.SealedBox(nacl.PrivateKey(_key(private, "private")))
    try:
        # Without `validate` Python drops characters that are not base64: two texts would be one box.
        return bytes(opener.decrypt(base64.b64decode(box, validate=True)))
    except (CryptoError, ValueError, TypeError) as error:
        raise NotOursError from error


def keep(private: str, path: str) -> None:
    """Write the private key to a new file that only we can read; ConfigurationError when there is one already."""
    try:
        # Never over an older key: what was sealed for that one could not be opened any more.
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise _unkept(path, error, KEEP if isinstance(error, FileExistsError) else ELSEWHERE) from error
    try:
        with open(number, "w") as file:
            file.write(private + "\n")
    except OSError as error:
        os.unlink(path)  # half a key would be kept for a whole one
        raise _unkept(path, error, ELSEWHERE) from error


def _unkept(path: str, error: OSError, what_to_do: str) -> ConfigurationError:
    return ConfigurationError(f"the private key cannot be written to {path!r}: {error.strerror}", what_to_do=what_to_do)


def _nacl() -> Any:
    try:
        import nacl.public
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            "the library for sealed secrets is not installed", what_to_do="pip install 'accel-ci[secrets]'"
        ) from error
    return nacl.public


def _key(text: str, which: str) -> bytes:
    """Never shown: a private key that was pasted into the wrong place is still one."""
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise ConfigurationError(
            f"the {which} key is no key", what_to_do="paste it whole, as `accel-ci secrets keygen` printed it"
        )
    return key


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()
