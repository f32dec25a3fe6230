"""assembled video or delivered folder + statement -> signed output with its sidecar; the last step that touches it."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import logging
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TypedDict

import faceswap_core
from faceswap_core.config import JobSettings
from faceswap_core.config_branch import Branch
from faceswap_core.config_provenance import ProvenanceSettings
from faceswap_core.errors import ManifestError
from faceswap_core.outfolder import PROVENANCE, TABLE, place
from faceswap_core.stages.decode import check_source
from faceswap_core.stages.deliver import Delivered
from faceswap_core.stages.identity import check_signer, signing_identity
from faceswap_core.storage import atomic_path, file_ref, sha256_file
from faceswap_core.trust.c2pa import MIME_TYPES, SOURCE_TYPE, sign_stream
from faceswap_core.trust.consent import Grant
from faceswap_core.trust.identity import is_test
from faceswap_core.trust.label import label_facts
from faceswap_core.trust.statement import SCHEMA, sidecar_text
from faceswap_core.types import FileRef, Json
from faceswap_core.video.index import build_index

_log = logging.getLogger(__name__)
SIDECAR = ".provenance.json"
"""What is added to a video's name for its sidecar."""
_SETTINGS = ("align", "blend", "decode", "detect", "encode", "normalize", "smooth", "track", "train")
"""Branches of a job that the result depends on, beside its seed."""
_OTHER_MIME = "application/octet-stream"


class SignedVideo(TypedDict):
    """A finished video."""

    video: FileRef
    """The video: absolute path and digest."""
    sidecar: FileRef
    """Its sidecar."""


def statement_of(
    job: JobSettings, plate: FileRef, weights: FileRef, grants: Mapping[str, Grant], *, allow_test: bool
) -> Json:
    """What is to be known of a job's output: equal for equal work, no name of a person, no path.

    Raises:
        ConsentError: nobody may sign it.
    """
    kinds = {grant["kind"] for grant in grants.values()}
    identity = check_signer(job.provenance, kinds)
    settings = settings_of(job)
    label = job.provenance.label
    shown = label.mode, label.text, label.seconds, label.height, label.reason, label.approved_by, label.watermark
    handed_off: Json = {"mode": "off", "reason": "images for a compositor, not for viewers", "approved_by": "the job"}
    return {
        "schema": SCHEMA,
        "generator": {
            "name": "faceswap-pipeline",
            "version": importlib.metadata.version("faceswap-pipeline"),
            "code_sha256": code_digest(),
        },
        "digital_source_type": SOURCE_TYPE,
        "test": kinds != {"person"} or is_test(identity.chain_pem),
        "test_consent": allow_test,
        "consents": [dict(grant) for grant in grants.values()],
        "plate_sha256": plate["sha256"],
        "model_sha256": weights["sha256"],
        "settings_sha256": hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest(),
        "signer_sha256": hashlib.sha256(identity.chain_pem).hexdigest(),
        "label": label_facts(*shown) if job.output.kind == "video" else handed_off,
    }


def settings_of(job: JobSettings) -> Json:
    """Seed and settings that a job's output depends on, without the paths among them: what they name has a digest."""
    branches: dict[str, Branch] = {name: getattr(job, name) for name in _SETTINGS}
    told = {name: branch.model_dump(mode="json", exclude=set(branch.paths)) for name, branch in branches.items()}
    return {"seed": job.seed, **told}


@cache
def code_digest() -> str:
    """Digest of this program's own sources."""
    root = Path(faceswap_core.__path__[0])
    lines = [f"{path.relative_to(root).as_posix()} {sha256_file(path)}" for path in sorted(root.rglob("*.py"))]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def sign_video(
    assembled: FileRef, plate: FileRef, statement: Json, signer: ProvenanceSettings, output: Path
) -> SignedVideo:
    """Write the output: the assembled video with a C2PA manifest where its container holds one, and its sidecar.

    Args:
        assembled: the video, labelled; left as it is.
        plate: what it was made from.
        statement: as `statement_of` gives it.
        signer: who signs; the key is opened here and nowhere else.
        output: the file to write; it appears under its name only when complete.

    Raises:
        ConsentError: it cannot be signed.
        ManifestError: the assembled video is gone.
        MediaError: the plate changed.
        DiskFullError: no space left.
    """
    check_source(plate)
    source = Path(assembled["path"])
    if not source.is_file() or sha256_file(source) != assembled["sha256"]:
        raise ManifestError(f"{source} is missing or was altered: run the same command again")
    identity = signing_identity(signer)
    statement = {**statement, "video": video_facts(source)}
    mime = MIME_TYPES.get(output.suffix.lower())
    with atomic_path(output) as temporary:
        if mime is None:
            temporary.unlink()
            place(source, temporary)
        else:
            plate_mime = MIME_TYPES.get(Path(plate["path"]).suffix.lower(), _OTHER_MIME)
            with source.open("rb") as read, temporary.open("w+b") as write, open(plate["path"], "rb") as parent:
                sign_stream(
                    read,
                    write,
                    mime,
                    title=output.name,
                    statement=statement,
                    plate=(parent, plate_mime),
                    identity=identity,
                )
    video = file_ref(output)
    about = {"name": output.name, "sha256": video["sha256"], "bytes": video["size"]}
    sidecar = sidecar_of(output)
    with atomic_path(sidecar) as temporary:
        temporary.write_text(sidecar_text(statement, about, identity), encoding="utf-8")
    _log.info("signed %s%s", output, "" if mime else ": its container holds no manifest, the sidecar is all")
    return SignedVideo(video=video, sidecar=file_ref(sidecar))


def sidecar_of(output: Path) -> Path:
    """The sidecar beside a finished video."""
    return output.with_name(output.name + SIDECAR)


def video_facts(path: Path) -> Json:
    """Frames, size and other streams of a finished video."""
    index = build_index(path)
    facts = index.facts
    streams = [" ".join(filter(None, (other.kind, other.codec))) for other in facts.other_streams]
    return {"frames": len(index), "width": facts.width, "height": facts.height, "streams": streams}


def sign_folder(delivered: Delivered, statement: Json, signer: ProvenanceSettings) -> FileRef:
    """Write the sidecar of a delivered folder beside its table, which names every image with its digest.

    Raises:
        ConsentError: it cannot be signed.
    """
    folder = Path(delivered["folder"])
    about = {"name": TABLE, "sha256": sha256_file(folder / TABLE), "bytes": (folder / TABLE).stat().st_size}
    with atomic_path(folder / PROVENANCE) as temporary:
        temporary.write_text(sidecar_text(statement, about, signing_identity(signer)), encoding="utf-8")
    return file_ref(folder / PROVENANCE)
