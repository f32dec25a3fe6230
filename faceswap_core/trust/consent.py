"""consent record + what a job wants -> a grant, or the reason why it is none.

A record is one person's statement for one project: whose face, in which roles, for what, where, how long, and whether
a network may learn it. It is signed by a key that the user trusts (their rights office), never by this program. It is
a seat belt, not a lock: it proves that the holder of a key stated something, not that the person did.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Annotated, Literal, TypedDict

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from faceswap_core.errors import ConsentError
from faceswap_core.trust.signed import Signed, TrustedKeys, check_signature
from faceswap_core.types import Json

SCHEMA = "faceswap-consent/1"
Role = Literal["source-identity", "target-performer"]
"""``source-identity``: whose face is shown. ``target-performer``: whose face is covered."""
EVERYWHERE = "*"


def _with_zone(text: str) -> str:
    if datetime.fromisoformat(text).tzinfo is None:
        raise ValueError("a time needs a zone, such as 2027-01-31T00:00:00+00:00")
    return text


Moment = Annotated[str, Field(max_length=40), AfterValidator(_with_zone)]
Text = Annotated[str, Field(min_length=1, max_length=400)]
Name = Annotated[str, Field(pattern=r"^[\w][\w. -]{0,79}$")]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class ConsentRecord(BaseModel):
    """The payload of a record; an unknown or a missing member is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)

    consent_schema: Literal["faceswap-consent/1"] = Field(alias="schema")
    """Format of the record."""
    kind: Literal["person", "synthetic", "test"]
    """``synthetic``: an actor rendered here, proved by rendering. ``test``: nobody's consent, for trials only."""
    record_id: Annotated[str, Field(pattern=r"^[\w-]{8,80}$")]
    """Stays the same when the grant is renewed; a revocation names it."""
    nonce: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    """16 random bytes: without them the digest of a record could be guessed."""
    subject_ref: Name
    """Pseudonym; the name of the subject in the job."""
    subject_contact: Text
    """How to reach the person or their agent."""
    roles: Annotated[list[Role], Field(min_length=1, max_length=2)]
    """What the face may be used as."""
    purposes: Annotated[list[Name], Field(min_length=1, max_length=32)]
    """What the swap may serve."""
    project: Name
    """The one project that is covered."""
    training: bool
    """Whether a network may learn from footage of the person."""
    territories: Annotated[list[Annotated[str, Field(pattern=r"^(\*|[A-Z]{2})$")]], Field(min_length=1, max_length=250)]
    """Countries (ISO 3166-1) in which the result may be shown; ``*`` is everywhere."""
    issued: Moment
    """When the record was made."""
    not_before: Moment
    """From when on it holds."""
    expires: Moment
    """Until when it holds."""
    evidence_sha256: Digest
    """sha256 of the signed paper, which is kept elsewhere."""
    revocation: Text
    """Where the person can take the consent back."""
    rendered: dict[Digest, Json] | None
    """Kind ``synthetic``: each clip's sha256 and the settings that it was rendered with; null elsewhere."""


@dataclass(frozen=True)
class Wanted:
    """What a job does with one person."""

    subject: str
    """Name of the subject in the job."""
    role: Role
    """What the face is used as."""
    project: str
    """Name of the project."""
    purpose: str
    """What the swap serves; '' where the job does not say."""
    territories: tuple[str, ...]
    """Where the result will be shown."""
    training: bool
    """Whether a network learns from this person."""


class Grant(TypedDict):
    """A record that was checked, as it is bound into what is made of it: no name, no contact."""

    record: str
    """record_id."""
    sha256: str
    """Digest of the payload."""
    kind: str
    """person, synthetic or test."""
    role: str
    """What the face is used as."""
    expires: str
    """Until when the record holds."""


NOBODY: Mapping[str, Grant] = MappingProxyType({})
"""No grants: for stages that are called outside a job."""


def bound(consents: Mapping[str, Grant]) -> dict[str, str]:
    """Grants by subject as they stand in a manifest's metadata."""
    return {"consents": json.dumps(dict(consents), sort_keys=True)}


def read_record(document: Signed, source: str) -> ConsentRecord:
    """The payload's fields.

    Raises:
        ConsentError: a field is unknown, missing or not of its form.
    """
    try:
        return ConsentRecord.model_validate(document.payload)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'record'}: {e['msg']}" for e in error.errors()[:5])
        raise ConsentError(
            f"{source}: is no consent record: {faults}; make it anew with `faceswap consent new`"
        ) from error


def check_record(
    document: Signed,
    wanted: Wanted,
    *,
    trusted: TrustedKeys,
    revoked: frozenset[str],
    now: datetime,
    allow_test: bool,
    source: str,
) -> Grant:
    """The grant of a record that covers what a job wants.

    A record of kind ``person`` needs a trusted signature, one of kind ``test`` the user's word; what proves a
    ``synthetic`` one is its ``rendered`` clips, which are not looked at here.

    Raises:
        ConsentError: it does not cover it; the first reason is named.
    """
    record = read_record(document, source)
    if record.kind == "person":
        check_signature(document, SCHEMA, trusted, source)
    if record.kind == "test" and not allow_test:
        raise ConsentError(f"{source}: is a test record: give --allow-test-consent, which is written into the output")
    if (record.kind == "synthetic") != (record.rendered is not None):
        raise ConsentError(f"{source}: kind {record.kind!r} and rendered do not go together; render the actor anew")
    if record.record_id in revoked:
        raise ConsentError(
            f"{source}: record {record.record_id} was revoked: stop and run `faceswap purge {record.record_id} "
            "--workspace FOLDER`"
        )
    check_time(record, now, source)
    _check_scope(record, wanted, source)
    return Grant(
        record=record.record_id, sha256=document.digest, kind=record.kind, role=wanted.role, expires=record.expires
    )


def check_time(record: ConsentRecord, now: datetime, source: str) -> None:
    """Refuse a record outside its time, or a clock that stands before the record was made.

    Raises:
        ConsentError: ``now`` is outside.
    """
    issued, begins, ends = map(datetime.fromisoformat, (record.issued, record.not_before, record.expires))
    if now < issued:
        raise ConsentError(
            f"{source}: was issued {record.issued}, this machine's clock says {now}: set the clock right"
        )
    if now < begins:
        raise ConsentError(f"{source}: holds from {record.not_before}, it is {now:%Y-%m-%d %H:%M} UTC: wait until then")
    if now >= ends:
        raise ConsentError(f"{source}: expired {record.expires}: have the record renewed with the same record_id")


def _check_scope(record: ConsentRecord, wanted: Wanted, source: str) -> None:
    if record.subject_ref != wanted.subject:
        raise ConsentError(
            f"{source}: speaks for subject {record.subject_ref!r}, the job names it for {wanted.subject!r}: give that "
            "subject's own record"
        )
    if wanted.role not in record.roles:
        raise ConsentError(f"{source}: grants the roles {record.roles}, not {wanted.role!r}: ask for that role")
    if record.kind == "synthetic":
        return  # nobody's face: no project, purpose or country to keep
    if record.project != wanted.project:
        raise ConsentError(
            f"{source}: is for project {record.project!r}, the job's is {wanted.project!r} (provenance.project or its "
            "name): get a record for it"
        )
    if wanted.purpose not in record.purposes:
        raise ConsentError(
            f"{source}: grants the purposes {record.purposes}, the job's is {wanted.purpose!r}: set provenance.purpose "
            "to the true one, or get a record for it"
        )
    missing = [t for t in wanted.territories if t not in record.territories]
    if missing and EVERYWHERE not in record.territories:
        raise ConsentError(
            f"{source}: grants the territories {record.territories}, not {missing}: set provenance.territories to where"
            " the result is shown"
        )
    if wanted.training and not record.training:
        raise ConsentError(f"{source}: does not allow training: ask for it, or use train.model with a finished model")


def new_record(
    *,
    kind: Literal["person", "test"],
    subject: str,
    contact: str,
    roles: list[Role],
    purposes: list[str],
    project: str,
    training: bool,
    territories: list[str],
    days: int,
    evidence_sha256: str,
    revocation: str,
    now: datetime,
) -> Signed:
    """A record that nobody signed yet, valid from now on.

    Raises:
        ConsentError: a value is not of its form.
    """
    now = now.astimezone(UTC).replace(microsecond=0)
    payload: Json = {
        "schema": SCHEMA,
        "kind": kind,
        "record_id": secrets.token_hex(16),
        "nonce": secrets.token_hex(16),
        "subject_ref": subject,
        "subject_contact": contact,
        "roles": roles,
        "purposes": purposes,
        "project": project,
        "training": training,
        "territories": territories,
        "issued": now.isoformat(),
        "not_before": now.isoformat(),
        "expires": (now + timedelta(days=days)).isoformat(),
        "evidence_sha256": evidence_sha256,
        "revocation": revocation,
        "rendered": None,
    }
    document = Signed(payload, ())
    read_record(document, "the new record")
    return document


def synthetic_record(subject: str, identity: int, rendered: dict[str, Json]) -> Signed:
    """The record of an actor rendered here; equal for equal clips, as there is nobody to keep secret.

    Args:
        subject: name of the subject in the job.
        identity: seed of the person.
        rendered: settings of every clip, by the clip's sha256.
    """
    payload: Json = {
        "schema": SCHEMA,
        "kind": "synthetic",
        "record_id": f"synthetic-{identity}-{subject}",
        "nonce": "0" * 32,
        "subject_ref": subject,
        "subject_contact": "nobody: rendered",
        "roles": ["source-identity", "target-performer"],
        "purposes": ["any"],
        "project": "any",
        "training": True,
        "territories": [EVERYWHERE],
        "issued": "2026-01-01T00:00:00+00:00",
        "not_before": "2026-01-01T00:00:00+00:00",
        "expires": "9999-01-01T00:00:00+00:00",
        "evidence_sha256": "0" * 64,
        "revocation": "nobody: rendered",
        "rendered": rendered,
    }
    document = Signed(payload, ())
    read_record(document, "the actor's record")
    return document
