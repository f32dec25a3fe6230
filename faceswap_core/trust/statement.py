"""what is known of an output <-> its signed JSON sidecar, and the faults of both.

The same statement stands in the C2PA manifest and in the sidecar; the sidecar adds the digest of the finished file.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from faceswap_core.errors import ConsentError
from faceswap_core.trust.identity import Identity, check_signature
from faceswap_core.trust.signed import canonical, parse_json
from faceswap_core.types import Json

SCHEMA = "faceswap-provenance/1"
_MEMBERS = {"payload", "signature"}
_ROLES = ("target-performer", "source-identity")


def sidecar_text(statement: Mapping[str, Any], output: Mapping[str, Any], identity: Identity) -> str:
    """The sidecar of an output.

    Args:
        statement: as in the manifest.
        output: name, sha256 and bytes of the finished file.
        identity: who signs.
    """
    payload: Json = {**statement, "output": dict(output)}
    signature = base64.b64encode(identity.sign(_message(payload))).decode()
    document = {"payload": payload, "signature": {"chain": identity.chain_pem.decode(), "sig": signature}}
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _message(payload: Json) -> bytes:
    return SCHEMA.encode() + b"\n" + canonical(payload)


def read_sidecar(data: bytes, source: str) -> Json:
    """Payload and signature of a sidecar, its form checked and nothing else.

    Raises:
        ConsentError: it is no sidecar.
    """
    document = parse_json(data, source)
    signature = document.get("signature")
    if set(document) != _MEMBERS or not isinstance(document["payload"], dict) or not isinstance(signature, dict):
        raise ConsentError(f"{source}: is no provenance sidecar; export the video again")
    if set(signature) != {"chain", "sig"} or not all(isinstance(v, str) for v in signature.values()):
        raise ConsentError(f"{source}: has no signature that can be read; export the video again")
    return document


def sidecar_fault(document: Json, anchors: Sequence[bytes], now: datetime) -> str:
    """Why a sidecar's signature is not believed; '' where it is."""
    given = document["signature"]
    try:
        signature = base64.b64decode(given["sig"], validate=True)
    except (binascii.Error, ValueError):
        return "its signature is no base64"
    return check_signature(given["chain"].encode(), signature, _message(document["payload"]), anchors, now)


def says_test(statement: Any) -> bool:
    """True where an output is marked as made for trials, or of rendered actors."""
    return isinstance(statement, dict) and statement.get("test") is True


def consent_fault(statement: Json) -> str:
    """What is wrong with the consents that a statement names; '' where both people's stand there."""
    found = statement.get("consents")
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        return "no list of consents"
    roles = tuple(entry.get("role") for entry in found)
    if roles != _ROLES:
        return f"consents for the roles {roles}, not {_ROLES}"
    for entry in found:
        if not all(isinstance(entry.get(name), str) and entry[name] for name in ("record", "sha256", "kind")):
            return "a consent without record, sha256 or kind"
    kinds = {entry["kind"] for entry in found}
    return "" if kinds == {"person"} or says_test(statement) else f"consents of kind {sorted(kinds)} in a real output"


def label_text(statement: Json) -> tuple[Literal["start", "whole", "off", ""], str]:
    """Mode of the visible label and what is wrong with what is said of it ('' = nothing)."""
    label = statement.get("label")
    if not isinstance(label, dict):
        return "", "nothing is said of a label"
    mode = label.get("mode")
    if mode == "off":
        explained = all(str(label.get(name, "")).strip() for name in ("reason", "approved_by"))
        return "off", "" if explained else "off without reason or approver"
    if mode == "start" or mode == "whole":
        return mode, ""
    return "", f"mode {mode!r} is unknown"
