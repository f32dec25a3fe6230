"""JSON payload + Ed25519 keys <-> signed document: one JSON file with its signatures beside the payload.

A signature covers ``<schema>\\n`` and the payload's canonical JSON, so that no statement of one kind can pass as one
of another. Canonical: keys sorted, no spaces, UTF-8, strings, whole numbers, booleans, null, lists and objects only
(RFC 8785 where no fractions occur).
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from faceswap_core.errors import ConsentError
from faceswap_core.types import Json

MAX_BYTES = 1 << 20
"""Largest document that is read."""
_ALGORITHM = "Ed25519"
_SIGNATURE = {"alg", "key_id", "sig"}
TrustedKeys = Mapping[str, Ed25519PublicKey]
"""Public keys by their `key_id`."""


@dataclass(frozen=True)
class Signed:
    """A document as it was read: nothing of it is checked yet but its form."""

    payload: Json
    """What is said."""
    signatures: tuple[dict[str, str], ...]
    """``alg``, ``key_id`` and ``sig`` (base64) of each signer."""

    @property
    def digest(self) -> str:
        """sha256 (hex) of the payload's canonical JSON."""
        return hashlib.sha256(canonical(self.payload)).hexdigest()

    def to_json(self) -> str:
        """The file's text."""
        document = {"payload": self.payload, "signatures": list(self.signatures)}
        return json.dumps(document, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def canonical(value: Json) -> bytes:
    """Bytes that are signed and hashed."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


def key_id(key: Ed25519PublicKey) -> str:
    """First 32 hex digits of the sha256 of a raw public key."""
    raw = key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return hashlib.sha256(raw).hexdigest()[:32]


def parse_signed(data: bytes, source: str) -> Signed:
    """Read a document strictly: no repeated keys, fractions or further members.

    Raises:
        ConsentError: it is anything else.
    """
    document = parse_json(data, source)
    if set(document) != {"payload", "signatures"}:
        raise ConsentError(f"{source}: has the members {sorted(document)[:8]}, not payload and signatures; {_REMEDY}")
    payload, signatures = document["payload"], document["signatures"]
    if not isinstance(payload, dict) or not isinstance(signatures, list) or len(signatures) > 16:
        raise ConsentError(f"{source}: payload must be an object and signatures a short list; {_REMEDY}")
    for entry in signatures:
        if not (
            isinstance(entry, dict) and set(entry) == _SIGNATURE and all(isinstance(v, str) for v in entry.values())
        ):
            raise ConsentError(f"{source}: a signature must have alg, key_id and sig, all text; {_REMEDY}")
    return Signed(payload, tuple(signatures))


_REMEDY = "make the file anew with `faceswap consent`"


def parse_json(data: bytes, source: str) -> Json:
    """Read a JSON object without repeated keys and fractions.

    Raises:
        ConsentError: it is none.
    """
    if len(data) > MAX_BYTES:
        raise ConsentError(f"{source}: has {len(data)} bytes, at most {MAX_BYTES} are read; {_REMEDY}")
    try:
        value = json.loads(
            data.decode(), object_pairs_hook=_unique, parse_float=_no_fraction, parse_constant=_no_fraction
        )
        if isinstance(value, dict):
            canonical(value)  # lone surrogates cannot be encoded
            return value
    except (ValueError, RecursionError) as error:
        raise ConsentError(f"{source}: is no plain JSON ({str(error)[:120]}); {_REMEDY}") from error
    raise ConsentError(f"{source}: is no JSON object but {type(value).__name__}; {_REMEDY}")


def _unique(pairs: list[tuple[str, Any]]) -> Json:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is repeated")
    return found


def _no_fraction(text: str) -> NoReturn:
    raise ValueError(f"{text[:20]} is no whole number")


def sign(document: Signed, schema: str, key: Ed25519PrivateKey) -> Signed:
    """The document with one more signature; an older one of the same key is replaced."""
    mine = key_id(key.public_key())
    signature = base64.b64encode(key.sign(_message(document, schema))).decode()
    others = tuple(entry for entry in document.signatures if entry["key_id"] != mine)
    return Signed(document.payload, (*others, {"alg": _ALGORITHM, "key_id": mine, "sig": signature}))


def check_signature(document: Signed, schema: str, trusted: TrustedKeys, source: str) -> str:
    """`key_id` of the trusted key that signed the document.

    Raises:
        ConsentError: no trusted key did, or the payload is not what one signed.
    """
    for entry in document.signatures:
        key = trusted.get(entry["key_id"])
        if key is None or entry["alg"] != _ALGORITHM:
            continue
        try:
            key.verify(base64.b64decode(entry["sig"], validate=True), _message(document, schema))
        except (InvalidSignature, ValueError) as error:  # no base64, or no ASCII
            raise ConsentError(
                f"{source}: was altered after key {entry['key_id']} signed it; get the original, or have it signed anew"
            ) from error
        return entry["key_id"]
    signers = [entry["key_id"] for entry in document.signatures]
    raise ConsentError(
        f"{source}: is signed by {signers or 'nobody'}, none of the {len(trusted)} trusted keys; have one sign it, "
        "or put the signer's public key into provenance.trusted_keys"
    )


def _message(document: Signed, schema: str) -> bytes:
    return schema.encode() + b"\n" + canonical(document.payload)


def new_key() -> tuple[bytes, bytes]:
    """A new key pair as PEM: private (PKCS 8, not encrypted) and public."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private, public_pem(key.public_key())


def public_pem(key: Ed25519PublicKey) -> bytes:
    """A public key as PEM."""
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def private_key(pem: bytes, source: str) -> Ed25519PrivateKey:
    """Read a private key.

    Raises:
        ConsentError: it is no Ed25519 key.
    """
    try:
        key = serialization.load_pem_private_key(pem, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ConsentError(
            f"{source}: is no private key that can be read; make one with `faceswap consent key`"
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ConsentError(f"{source}: is no Ed25519 key; make one with `faceswap consent key`")
    return key


def public_key(pem: bytes, source: str) -> Ed25519PublicKey:
    """Read a public key.

    Raises:
        ConsentError: it is no Ed25519 key.
    """
    try:
        key = serialization.load_pem_public_key(pem)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ConsentError(f"{source}: is no public key; remove it from provenance.trusted_keys") from error
    if not isinstance(key, Ed25519PublicKey):
        raise ConsentError(f"{source}: is no Ed25519 key; remove it from provenance.trusted_keys")
    return key
