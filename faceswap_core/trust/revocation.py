"""signed revocation list <-> record ids that hold no more."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from faceswap_core.errors import ConsentError
from faceswap_core.trust.consent import Moment
from faceswap_core.trust.signed import Signed, TrustedKeys, check_signature, sign

SCHEMA = "faceswap-revocations/1"
RecordId = Annotated[str, Field(pattern=r"^[\w-]{8,80}$")]


class RevocationList(BaseModel):
    """The payload of a list."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)

    list_schema: Literal["faceswap-revocations/1"] = Field(alias="schema")
    """Format of the list."""
    issued: Moment
    """When the list was made."""
    revoked: Annotated[dict[RecordId, Moment], Field(max_length=10_000)]
    """record_id and time of each revocation."""


def revoked_ids(document: Signed, trusted: TrustedKeys, now: datetime, source: str) -> frozenset[str]:
    """Ids of the records that hold no more.

    Raises:
        ConsentError: the list is not signed by a trusted key, malformed, or younger than this machine's clock.
    """
    check_signature(document, SCHEMA, trusted, source)
    try:
        found = RevocationList.model_validate(document.payload)
    except ValidationError as error:
        raise ConsentError(f"{source}: is no revocation list ({error.errors()[0]['msg']}); make it anew") from error
    if now < datetime.fromisoformat(found.issued):
        raise ConsentError(f"{source}: was issued {found.issued}, this machine's clock says {now}: set the clock right")
    return frozenset(found.revoked)


def with_revocation(before: Signed | None, record_id: str, key: Ed25519PrivateKey, now: datetime) -> Signed:
    """A new signed list with one record more; signatures of the old one do not cover it and are left out."""
    moment = now.astimezone(UTC).isoformat(timespec="seconds")
    revoked = {**(before.payload.get("revoked", {}) if before else {}), record_id: moment}
    return sign(Signed({"schema": SCHEMA, "issued": moment, "revoked": revoked}, ()), SCHEMA, key)
