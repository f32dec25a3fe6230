"""job + records, keys and revocations on disk -> the grants that it may run on; read anew at every check."""

from __future__ import annotations

import logging
import os
import stat
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from faceswap_core.config import JobSettings
from faceswap_core.config_provenance import ProvenanceSettings
from faceswap_core.errors import ConsentError
from faceswap_core.stages.decode import video_ref
from faceswap_core.stages.import_images import image_refs
from faceswap_core.stages.permission import check_uses
from faceswap_core.stages.rendered import prove_rendered
from faceswap_core.stages.weights import read_facts
from faceswap_core.storage import Workspace, atomic_path, disk_full_as_ours, sha256_file
from faceswap_core.trust.consent import Grant, Role, Wanted, check_record, read_record
from faceswap_core.trust.revocation import revoked_ids
from faceswap_core.trust.signed import MAX_BYTES, Signed, TrustedKeys, key_id, parse_signed, public_key
from faceswap_core.types import FileRef

_log = logging.getLogger(__name__)
REVOCATIONS = "revocations.json"
"""Name of the revocation list in a folder of trusted keys."""
_CLOCK_SECONDS = 300.0
"""How far the wall clock may be set while a job runs."""


class ConsentGate:
    """Checks the consents of one job, as often as it is asked, always from the files as they are then."""

    def __init__(self, job: JobSettings, *, allow_test: bool) -> None:
        """Note when the job began, by the wall clock and by one that nobody sets."""
        self._job = job
        self.allow_test = allow_test
        """Whether records of kind test count."""
        self._began = (time.time(), _unset_seconds())

    def check(self, before: str, *, training: bool | None = None) -> dict[str, Grant]:
        """The grants of both subjects, by name.

        Args:
            before: what follows, for the log.
            training: whether they must allow training; by default where the job trains.

        Raises:
            ConsentError: a record is missing or does not cover the job, or the clock was set meanwhile.
        """
        now = time.time()
        drift = (now - self._began[0]) - (_unset_seconds() - self._began[1])
        if abs(drift) > _CLOCK_SECONDS:
            raise ConsentError(
                f"the machine's clock was set by {drift:.0f} s while the job ran, so no expiry can be trusted: set "
                "it right and run the same command again; finished work is kept"
            )
        grants = job_grants(
            self._job, now=datetime.fromtimestamp(now, UTC), allow_test=self.allow_test, training=training
        )
        _log.info("consents checked before %s", before)
        return grants


def _unset_seconds() -> float:
    """Seconds of a clock that nobody sets and that goes on while the machine sleeps, where the system has one."""
    asleep_too = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if asleep_too is None else time.clock_gettime(asleep_too)


def job_grants(job: JobSettings, *, now: datetime, allow_test: bool, training: bool | None = None) -> dict[str, Grant]:
    """Check the records of both people of a job; ``training`` as in `ConsentGate.check`.

    Raises:
        ConsentError: a record is missing or does not cover the job.
    """
    trusted = trusted_keys(job.provenance.trusted_keys)
    revoked = _revoked(job.provenance, trusted, now)
    roles: dict[str, Role] = {job.plate.subject: "target-performer", job.swap.to: "source-identity"}
    grants: dict[str, Grant] = {}
    for name, role in roles.items():
        path = job.subjects[name].consent
        if path is None:
            raise ConsentError(
                f"subject {name!r} has no consent record: set subjects.{name}.consent to theirs; `faceswap consent new`"
                " writes one to be signed"
            )
        document = read_signed(path)
        grants[name] = check_record(
            document,
            _wanted(job, name, role, training=job.train.model is None if training is None else training),
            trusted=trusted,
            revoked=revoked,
            now=now,
            allow_test=allow_test,
            source=str(path),
        )
        rendered = read_record(document, str(path)).rendered
        if rendered is not None and pictures_of(job, name):
            raise ConsentError(
                f"{path} is a record of a rendered actor, whom only videos can show: give a record of another kind for "
                f"subjects.{name}.images, or leave the pictures out"
            )
        learned = () if job.train.model else job.training_videos(name)
        for video in footage_of(job, name):
            check_uses(video_ref(video), training=video in learned)
            if rendered is not None:
                prove_rendered(Workspace(job.workspace), video_ref(video), rendered, str(path))
    ids = [grant["record"] for grant in grants.values()]
    if len(set(ids)) != len(ids):
        raise ConsentError(f"both subjects name the record {ids[0]}: each person needs a record of their own")
    return grants


def _wanted(job: JobSettings, name: str, role: Role, *, training: bool) -> Wanted:
    return Wanted(
        subject=name,
        role=role,
        project=job.provenance.project or job.name,
        purpose=job.provenance.purpose,
        territories=job.provenance.territories,
        training=training,
    )


def footage_of(job: JobSettings, name: str) -> tuple[Path, ...]:
    """Every video of one person that the job reads, plate and truth included."""
    videos = () if job.train.model else job.training_videos(name)
    plate = (job.plate.video,) if name == job.plate.subject else ()
    truth = (job.plate.truth,) if job.plate.truth and name == job.swap.to else ()
    return tuple(dict.fromkeys((*videos, *plate, *truth)))


def sources(job: JobSettings, grants: Mapping[str, Grant]) -> dict[Path, tuple[str, str]]:
    """sha256 and record_id of every video and picture that a job reads, by path."""
    shown = [(video, grants[name]["record"]) for name in grants for video in footage_of(job, name)]
    shown += [(picture, grants[name]["record"]) for name in grants for picture in pictures_of(job, name)]
    return {path: (sha256_file(path), record) for path, record in shown}


def pictures_of(job: JobSettings, name: str) -> list[Path]:
    """Every picture of the folder that one person is learnt from; none with a finished model."""
    folder = None if job.train.model else job.subjects[name].images
    return [Path(ref["path"]) for ref in image_refs(folder)] if folder else []


def check_model(workspace: Workspace, weights: FileRef, grants: Mapping[str, Grant]) -> None:
    """Refuse a network that learned people under other records than the job's; renewed records keep id and kind.

    Raises:
        ConsentError: they differ.
        ManifestError: the weights are no weights of ours.
    """
    path = workspace.localize(weights["path"], weights["sha256"])
    facts = read_facts(path)
    learned = {name: f"{record} ({facts.kinds[name]})" for name, record in facts.consents.items()}
    wanted = {name: f"{grant['record']} ({grant['kind']})" for name, grant in grants.items()}
    if learned != wanted:
        raise ConsentError(
            f"model {path} was trained under the consent records {learned or 'of nobody'}, the job has {wanted}: give "
            "those records (renewed ones keep their id and kind), or run `faceswap purge` on the old one and train anew"
        )


def read_signed(path: Path) -> Signed:
    """A signed document.

    Raises:
        ConsentError: it cannot be read.
    """
    return parse_signed(read_bytes(path, "consent record"), str(path))


def read_bytes(path: Path, what: str) -> bytes:
    """A small file.

    Raises:
        ConsentError: it cannot be read, or is large.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise ConsentError(f"{what} {path} cannot be read ({error}): correct its path") from error
    if len(data) > MAX_BYTES:
        raise ConsentError(f"{what} {path} is larger than {MAX_BYTES} bytes: correct its path")
    return data


def read_private(path: Path) -> bytes:
    """A private key's file.

    Raises:
        ConsentError: it cannot be read, or others than its owner may read it.
    """
    data = read_bytes(path, "private key")
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise ConsentError(f"private key {path} has mode {mode:04o}, so that others can read it: run chmod 600 on it")
    return data


def write_private(path: Path, data: bytes) -> None:
    """Write a new private key that its owner alone can read; an existing file is never replaced.

    Raises:
        ConsentError: there is a file of that name.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except FileExistsError as error:
        raise ConsentError(f"{path} exists: keys are never replaced, name another file") from error
    with disk_full_as_ours(path), os.fdopen(handle, "wb") as stream:
        stream.write(data)


def write_signed(path: Path, document: Signed) -> None:
    """Write a record or a list."""
    with atomic_path(path) as temporary:
        temporary.write_text(document.to_json(), encoding="utf-8")


def trusted_keys(folder: Path | None) -> TrustedKeys:
    """Public keys in a folder; none where no folder is named.

    Raises:
        ConsentError: the folder cannot be read, or a ``*.pem`` in it is no Ed25519 public key.
    """
    if folder is None:
        return {}
    if not folder.is_dir():
        raise ConsentError(f"provenance.trusted_keys {folder} is no folder: name the one with the public keys")
    keys = [public_key(read_bytes(path, "trusted key"), str(path)) for path in sorted(folder.glob("*.pem"))]
    return {key_id(key): key for key in keys}


def _revoked(settings: ProvenanceSettings, trusted: TrustedKeys, now: datetime) -> frozenset[str]:
    path = settings.revocations
    if path is None and settings.trusted_keys and (settings.trusted_keys / REVOCATIONS).exists():
        path = settings.trusted_keys / REVOCATIONS
    return revoked_ids(read_signed(path), trusted, now, str(path)) if path else frozenset()
