"""JSON web tokens as GitHub signs them for jobs: RS256, with the public half of the key for whoever checks them."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

KEY_ID = "accel-ci-sim"
KEY_BITS = 2048


class Signer:
    """One key. A simulator has a new one each time, so that tokens of another are worth nothing."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)

    def token(self, claims: Mapping[str, Any]) -> str:
        """The signed token."""
        head = {"typ": "JWT", "alg": "RS256", "x5t": KEY_ID, "kid": KEY_ID}
        signed = f"{_packed(head)}.{_packed(claims)}"
        return f"{signed}.{_plain(self._key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"

    def keys(self) -> dict[str, Any]:
        """The key set: https://www.rfc-editor.org/rfc/rfc7517."""
        numbers = self._key.public_key().public_numbers()
        key = {
            "kty": "RSA",
            "alg": "RS256",
            "use": "sig",
            "kid": KEY_ID,
            "n": _number(numbers.n),
            "e": _number(numbers.e),
        }
        return {"keys": [key]}


def claims(token: str, keys: Mapping[str, Any]) -> dict[str, Any] | None:
    """What the token says; None unless one of the keys signed it with RS256."""
    head, body, signature = [*token.split("."), "", ""][:3]
    try:
        named = json.loads(_bytes(head))
        key = next(each for each in keys["keys"] if each["kid"] == named["kid"] and named["alg"] == "RS256")
        public = rsa.RSAPublicNumbers(_integer(key["e"]), _integer(key["n"])).public_key()
        public.verify(_bytes(signature), f"{head}.{body}".encode(), padding.PKCS1v15(), hashes.SHA256())
        said = json.loads(_bytes(body))
    except (ValueError, KeyError, TypeError, StopIteration, InvalidSignature):
        return None
    return said if isinstance(said, dict) else None


def _packed(document: Mapping[str, Any]) -> str:
    return _plain(json.dumps(document, separators=(",", ":")).encode())


def _plain(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


def _number(value: int) -> str:
    return _plain(value.to_bytes((value.bit_length() + 7) // 8))


def _integer(text: str) -> int:
    return int.from_bytes(_bytes(text))
