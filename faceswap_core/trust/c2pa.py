"""finished file + statement + identity -> the file with a C2PA manifest; and back to what a manifest says.

The manifest says: opened (the plate is its parent), edited (a composite with a trained model), transcoded. Nothing is
fetched: remote manifests, OCSP and time stamps are off, as untrusted media could name any address.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, BinaryIO, Literal, TypeAlias

import c2pa

from faceswap_core.errors import ConsentError
from faceswap_core.trust.identity import Identity
from faceswap_core.types import Json

MIME_TYPES = {".mp4": "video/mp4", ".m4v": "video/mp4", ".mov": "video/quicktime"}
"""Suffix of the files that hold a manifest -> MIME type."""
ASSERTION = "org.faceswap-pipeline.provenance"
"""Label of our own statement in a manifest."""
SourceType: TypeAlias = Literal[
    "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia",
    "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia",
]
SOURCE_TYPE: SourceType = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
"""IPTC digital source type of a swap: footage with a part drawn by a trained model (http, as the IPTC writes it)."""
_KEY_USAGES = "1.3.6.1.5.5.7.3.4\n1.3.6.1.5.5.7.3.36\n1.3.6.1.4.1.62558.2.1\n"
"""What a signer's certificate may be for: e-mail protection, document signing, C2PA signing."""
_PLATE = "plate"
_TRAINING_LABELS = ("cawg.training-mining", "c2pa.training-mining")
_INFERENCE, _TRAINING = "ai_inference", ("ai_training", "ai_generative_training")


def _context(anchors: Sequence[bytes]) -> c2pa.Context:
    settings: Json = {
        "version": 1,
        "verify": {
            **{"verify_after_sign": True, "verify_trust": True},
            **{"ocsp_fetch": False, "remote_manifest_fetch": False},
        },
        "builder": {
            "thumbnail": {"enabled": False},  # it would show a face
            "actions": {"auto_opened_action": {"enabled": False}, "auto_placed_action": {"enabled": False}},
        },
        "trust": {"trust_config": _KEY_USAGES},
    }
    if anchors:
        settings["trust"]["trust_anchors"] = b"\n".join(anchors).decode()
    return c2pa.Context(settings=c2pa.Settings.from_dict(settings))


def sign_stream(
    source: BinaryIO,
    target: BinaryIO,
    mime: str,
    *,
    title: str,
    statement: Json,
    plate: tuple[BinaryIO, str] | None,
    identity: Identity,
) -> None:
    """Copy a file with a signed manifest.

    Args:
        source: the finished file.
        target: opened for reading and writing; not to be used after an error.
        mime: type of the file.
        title: its name.
        statement: what is to be known of it, JSON.
        plate: the file it was made from and its type, None where that holds no manifest and cannot be bound.
        identity: who signs.

    Raises:
        ConsentError: the certificates are not accepted, or the signer failed.
    """
    failed: list[Exception] = []

    def sign(message: bytes) -> bytes:
        try:
            return identity.sign(message)
        except Exception as error:  # the library only says that a callback failed
            failed.append(error)
            raise

    algorithm = c2pa.C2paSigningAlg[identity.algorithm.upper()]
    try:
        signer = c2pa.Signer.from_callback(sign, algorithm, identity.chain_pem.decode())
        builder = c2pa.Builder(_manifest(title, mime, statement, has_parent=plate is not None), context=_context(()))
        with builder:
            if plate is not None:
                builder.set_intent(c2pa.C2paBuilderIntent.EDIT)
                described = {"title": "plate", "relationship": "parentOf", "instance_id": _PLATE, "label": _PLATE}
                builder.add_ingredient(described, plate[1], plate[0])
            builder.sign(signer, mime, source, target)
    except (c2pa.C2paError, UnicodeDecodeError) as error:
        cause = failed[0] if failed else error
        raise ConsentError(
            f"{title}: cannot be signed ({str(cause)[:300]}): check provenance.certificates and provenance.key"
        ) from cause


def _manifest(title: str, mime: str, statement: Json, *, has_parent: bool) -> Json:
    agent = {"name": statement["generator"]["name"], "version": statement["generator"]["version"]}
    when = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    opened: Json = {"action": "c2pa.opened", "parameters": {"ingredientIds": [_PLATE]}}
    first = opened if has_parent else {"action": "c2pa.created", "digitalSourceType": SOURCE_TYPE}
    actions: list[Json] = [
        first,
        {
            "action": "c2pa.edited",
            "digitalSourceType": SOURCE_TYPE,
            "description": "A face was replaced by that of another person, drawn by a trained model; both consented.",
        },
        {"action": "c2pa.transcoded"},
    ]
    common = {"when": when, "softwareAgent": agent}
    return {
        "claim_generator_info": [agent],
        "title": title,
        "format": mime,
        "assertions": [
            {"label": "c2pa.actions.v2", "data": {"actions": [{**action, **common} for action in actions]}},
            {"label": ASSERTION, "data": statement},
        ],
    }


def child_manifest(arguments: Json, tell: Any) -> Json:
    """What the manifest of an untrusted file says; for a process of its own.

    Args:
        arguments: path, mime, and anchors (PEM text of each root that is trusted).
        tell: not used.

    Returns:
        ``state``: Trusted, Valid, Invalid or none; ``failures``: codes; ``actions`` and ``statement`` of the active
        manifest; ``parents``: number of ingredients that it was made from; ``uses``: training and mining entries of
        all manifests.
    """
    with open(arguments["path"], "rb") as stream:
        return read_stream(stream, arguments["mime"], [pem.encode() for pem in arguments["anchors"]])


def read_stream(stream: BinaryIO, mime: str, anchors: Sequence[bytes]) -> Json:
    """As `child_manifest`, from an open file."""
    nothing: Json = {"state": "none", "failures": [], "actions": [], "statement": None, "parents": 0, "uses": {}}
    try:
        with c2pa.Reader(mime, stream, context=_context(anchors)) as reader:
            store: Json = json.loads(reader.json())
    except c2pa.C2paError as error:
        found = str(error)
        if "ManifestNotFound" in found or "JumbfNotFound" in found:
            return nothing
        return {**nothing, "state": "Invalid", "failures": [found[:200]]}
    active: Json = store["manifests"].get(store.get("active_manifest"), {})
    data: dict[str, Any] = {entry["label"]: entry.get("data") for entry in active.get("assertions", [])}
    actions = next((data[label] for label in data if label.startswith("c2pa.actions")), None) or {}
    results = store.get("validation_results", {}).get("activeManifest", {})
    return {
        "state": store.get("validation_state", "Invalid"),
        "failures": [entry.get("code", "") for entry in results.get("failure", [])],
        "actions": [[a.get("action"), a.get("digitalSourceType")] for a in actions.get("actions", [])],
        "statement": said if isinstance(said := data.get(ASSERTION), dict) else None,
        "parents": sum(i.get("relationship") == "parentOf" for i in active.get("ingredients", [])),
        "uses": _uses(store),
    }


def _uses(store: Json) -> dict[str, str]:
    """Entries of training and mining assertions, the strictest of all manifests."""
    found: dict[str, str] = {}
    for manifest in store["manifests"].values():
        for entry in manifest.get("assertions", []):
            if str(entry.get("label", "")).startswith(_TRAINING_LABELS):
                for name, value in (entry.get("data") or {}).get("entries", {}).items():
                    use = str(value.get("use", "")) if isinstance(value, dict) else ""
                    if found.get(name, "allowed") == "allowed":
                        found[name] = use
    return found


def forbidden_use(uses: dict[str, str], *, training: bool) -> str:
    """The entry that forbids what is meant to be done with a source; '' where none does.

    Args:
        uses: as `read_stream` gives them; anything but ``allowed`` forbids.
        training: whether a network is to learn from the source, beside editing it.
    """
    wanted = (_INFERENCE, *(_TRAINING if training else ()))
    return next((f"{n}: {use}" for n, use in uses.items() if n.rpartition(".")[2] in wanted and use != "allowed"), "")
