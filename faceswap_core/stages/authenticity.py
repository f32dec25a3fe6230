"""finished file or folder -> a list of checks: who vouches for it, what it says of itself, and whether that holds.

The file is untrusted: parsers of media and manifests run in limited children.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from faceswap_core.config import LabelSettings
from faceswap_core.errors import ConsentError, MediaError, SettingsError
from faceswap_core.outfolder import PROVENANCE, TABLE, child_listed_files
from faceswap_core.stages.consent import read_bytes
from faceswap_core.stages.identity import test_root
from faceswap_core.stages.sign import SIDECAR
from faceswap_core.storage import sha256_file
from faceswap_core.trust.c2pa import MIME_TYPES, SOURCE_TYPE, child_manifest
from faceswap_core.trust.identity import utc_now
from faceswap_core.trust.label import AIGC, Label, aigc_fault, find_xmp
from faceswap_core.trust.statement import (
    SCHEMA,
    consent_fault,
    label_text,
    read_sidecar,
    says_test,
    sidecar_fault,
)
from faceswap_core.trust.watermark import payload_of, watermarker
from faceswap_core.types import Json
from faceswap_core.video.checked import index_unchecked
from faceswap_core.video.glimpse import crops, pictures
from faceswap_core.video.index import FrameIndex
from faceswap_core.video.sandbox import run_limited

_LIKENESS = 0.6
"""Least correlation of the label's place with the label; encoded hard it keeps 0.9, pictures without it reach 0.3."""
_MARKED_FRAMES = 24
"""Frames at the beginning, of which every third is searched for an invisible mark."""
_DIGESTS = ("plate_sha256", "model_sha256", "settings_sha256")
_ACTIONS = ["c2pa.opened", "c2pa.edited", "c2pa.transcoded"]


@dataclass(frozen=True)
class Check:
    """One line of the verdict."""

    name: str
    """What was looked at."""
    passed: bool
    """Whether it is as it should be."""
    detail: str
    """Why, or what was found."""


def check_output(path: Path, anchors: Sequence[bytes]) -> list[Check]:
    """Check a finished video, or a folder for a compositor.

    Args:
        path: the file or folder.
        anchors: PEM of the roots that are believed; that of the test identity is, for outputs marked as test only.

    Raises:
        MediaError: there is no such file.
    """
    if path.is_dir():
        return list(_folder(path, anchors))
    if not path.is_file():
        raise MediaError(f"{path}: no such file; give a finished video or a delivered folder")
    return list(_video(path, anchors))


def _video(path: Path, anchors: Sequence[bytes]) -> Iterator[Check]:
    mime = MIME_TYPES.get(path.suffix.lower())
    manifest = _manifest(path, mime, anchors) if mime else None
    sidecar, fault = _sidecar(path.with_name(path.name + SIDECAR))
    statement: Json = (manifest or {}).get("statement") or {}
    if manifest is not None:
        yield from _of_manifest(manifest)
    told = {k: v for k, v in (sidecar or {}).get("payload", {}).items() if k != "output"}
    yield from _of_sidecar(sidecar, fault, path, anchors)
    if manifest is not None:
        agrees = bool(statement) and told == statement
        yield Check(
            "sidecar agrees", agrees, "with the manifest" if agrees else "it and the manifest say different things"
        )
    statement = statement if manifest is not None else told
    yield from _of_statement(statement)
    yield from _of_media(path, statement, mime)


def _folder(path: Path, anchors: Sequence[bytes]) -> Iterator[Check]:
    sidecar, fault = _sidecar(path / PROVENANCE)
    statement = {k: v for k, v in (sidecar or {}).get("payload", {}).items() if k != "output"}
    yield from _of_sidecar(sidecar, fault, path / TABLE, anchors)
    yield from _of_statement(statement)
    mode, fault = label_text(statement)
    yield Check("label", mode == "off" and not fault, fault or "none on images for a compositor")
    damaged, count = _damaged(path)
    yield Check("files", count > 0 and not damaged, f"{count} files, not as the table says: {damaged[:5]}")


def _damaged(folder: Path) -> tuple[list[str], int]:
    """Files that are not as the folder's table says, and how many it names."""
    try:
        files = run_limited(child_listed_files, {"folder": str(folder)}, source=folder / TABLE)
    except MediaError:  # a limit was hit
        files = None
    if files is None:
        return [TABLE], 0
    root = folder.resolve()
    bad = []
    for name, sha256 in files:
        path = (folder / name).resolve()
        if not path.is_relative_to(root) or not path.is_file() or sha256_file(path) != sha256:
            bad.append(str(name))
    return bad, len(files)


def _manifest(path: Path, mime: str, anchors: Sequence[bytes]) -> Json:
    """What the manifest says; read again with the test root where it is marked as test."""
    found = _read(path, mime, anchors)
    if found["state"] != "Trusted" and says_test(found["statement"]) and test_root():
        return _read(path, mime, [*anchors, *test_root()])
    return found


def _read(path: Path, mime: str, anchors: Sequence[bytes]) -> Json:
    arguments = {"path": str(path), "mime": mime, "anchors": [pem.decode(errors="replace") for pem in anchors]}
    try:
        found: Json = run_limited(child_manifest, arguments, source=path)
    except MediaError as error:
        return {"state": "Invalid", "failures": [str(error)], "actions": [], "statement": None, "parents": 0}
    return found


def _of_manifest(manifest: Json) -> Iterator[Check]:
    state, failures = manifest["state"], ", ".join(manifest["failures"])
    why = "the file holds no C2PA manifest" if state == "none" else f"{state} {failures}".strip()
    yield Check("c2pa trusted", state == "Trusted", why)
    actions = manifest["actions"]
    good = [action for action, _ in actions] == _ACTIONS and [_ACTIONS[1], SOURCE_TYPE] in actions
    good = good and manifest["parents"] == 1
    yield Check("c2pa actions", good, " -> ".join(str(a) for a, _ in actions) + f", {manifest['parents']} parent")


def _sidecar(path: Path) -> tuple[Json | None, str]:
    try:
        return read_sidecar(read_bytes(path, "sidecar"), str(path)), ""
    except ConsentError as error:
        return None, str(error)


def _of_sidecar(sidecar: Json | None, fault: str, file: Path, anchors: Sequence[bytes]) -> Iterator[Check]:
    if sidecar is None:
        yield Check("sidecar signed", False, fault)
        return
    payload = sidecar["payload"]
    believed = [*anchors, *(test_root() if says_test(payload) else ())]
    fault = sidecar_fault(sidecar, believed, utc_now())
    yield Check("sidecar signed", not fault, fault or "by a chain that ends at an anchor")
    output = payload.get("output")
    wanted = output.get("sha256") if isinstance(output, dict) else None
    found = sha256_file(file) if file.is_file() else None
    yield Check("file unchanged", wanted == found is not None, f"sha256 {found}, the sidecar says {wanted}")


def _of_statement(statement: Json) -> Iterator[Check]:
    if statement.get("schema") != SCHEMA:
        yield Check("statement", False, f"schema {str(statement.get('schema'))[:40]!r}, not {SCHEMA!r}")
        return
    digests = [name for name in _DIGESTS if len(str(statement.get(name))) != 64]
    yield Check("statement", not digests, f"no digest: {digests}" if digests else "names plate, model and settings")
    fault = consent_fault(statement)
    kinds = [entry["kind"] for entry in statement["consents"]] if not fault else []
    marked = " (marked as test)" if says_test(statement) else ""
    yield Check("consents", not fault, fault or f"of both people, kind {' and '.join(kinds)}{marked}")


def _of_media(path: Path, statement: Json, mime: str | None) -> Iterator[Check]:
    try:
        index = index_unchecked(path)
    except MediaError as error:
        yield Check("video", False, str(error))
        return
    facts, told = index.facts, statement.get("video")
    streams = [" ".join(filter(None, (other.kind, other.codec))) for other in facts.other_streams]
    found = {"frames": len(index), "width": facts.width, "height": facts.height, "streams": streams}
    yield Check("frames and streams", told == found, f"{len(index)} frames, {streams}" + (
        "" if told == found else f"; the statement says {told}"))  # fmt: skip
    tags = {key.lower(): value for key, value in facts.metadata.items()}
    fault = aigc_fault(tags.get(AIGC.lower()))
    yield Check("AIGC tag", not fault, fault or "seven fields, Label 1")
    if mime is not None:
        with path.open("rb") as stream:
            told_xmp = SOURCE_TYPE.encode() in find_xmp(stream)
        yield Check("XMP source type", told_xmp, SOURCE_TYPE if told_xmp else "no XMP packet with the source type")
    yield _label(path, statement, index)
    label = statement.get("label")
    if isinstance(label, dict) and "watermark" in label:
        yield _watermark(path, statement, len(index))


def _watermark(path: Path, statement: Json, frames: int) -> Check:
    """Whether the invisible mark that a statement names is there and names the same plate."""
    name = str(statement["label"]["watermark"])
    try:
        wanted = payload_of(str(statement.get("plate_sha256")))
        found, score = watermarker(name).detect(pictures(path, list(range(0, min(frames, _MARKED_FRAMES), 3))))
    except (ValueError, SettingsError, MediaError) as error:
        return Check("watermark", False, f"cannot be looked for: {error}")
    return Check("watermark", found == wanted, f"{name} reads {found.hex()}, score {score:.2f}; wanted {wanted.hex()}")


def _label(path: Path, statement: Json, index: FrameIndex) -> Check:
    mode, fault = label_text(statement)
    if fault or mode == "off":
        label = statement.get("label") or {}
        return Check("visible label", not fault, fault or f"off: {label['reason']}, approved by {label['approved_by']}")
    try:
        given = statement["label"]
        facts = index.facts
        wanted = LabelSettings(mode=mode or "start", text=given["text"], height=float(given["height"]))
        label = Label(wanted.text, wanted.height, (facts.width, facts.height), facts.rotation)
        last = len(index) - 1 if mode == "whole" else min(len(index) - 1, int(1.5 * facts.average_rate))
        found = [label.likeness(luma) for luma in crops(path, [0, last], label.rect)]
    except (KeyError, ValueError, TypeError, MediaError) as error:  # pydantic's is a ValueError
        return Check("visible label", False, f"cannot be looked for: {error}")
    worst = min(found, default=0.0)
    detail = f"{given['text']!r}, likeness {worst:.2f} in {len(found)} frames"
    return Check("visible label", worst >= _LIKENESS, detail)
