"""`faceswap consent`: records of who allowed what; keys, signatures, revocations."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from faceswap_core.errors import SettingsError
from flows.cli.options import AllowTest, AsJson, JobFile, Overrides
from flows.cli.session import refusing

if TYPE_CHECKING:
    from faceswap_core.types import Json


class Role(StrEnum):
    """What a face may be used as."""

    SHOWN = "source-identity"
    COVERED = "target-performer"


app = typer.Typer(name="consent", help="Consent records: who allowed what.", no_args_is_help=True)
KeyFile = Annotated[Path, typer.Option("--key", help="Private key (Ed25519, PEM, mode 0600).", show_default=False)]


def told(work: Callable[[], Json], *, as_json: bool) -> None:
    """Do something short, print what came of it, and end with its exit code."""
    with refusing(as_json=as_json):
        result = work()
    if as_json:
        print(json.dumps(result))
    else:
        for name, value in result.items():
            lines = value if isinstance(value, tuple) else (value,)
            print(f"{name:<15} " + f"\n{'':16}".join(map(str, lines)))


@app.command()
def key(file: Annotated[Path, typer.Argument(help="Private key to write; FILE.pem is its public half.")]) -> None:
    """Make a key pair: keep the private half, put the public one into the folder of trusted keys."""

    def work() -> Json:
        from faceswap_core.stages.consent import write_private
        from faceswap_core.trust.signed import key_id, new_key, public_key

        private, public = new_key()
        shown = file.with_name(file.name + ".pem")
        if shown.exists():
            raise SettingsError(f"{shown} exists: keys are never replaced, name another file")
        write_private(file, private)
        shown.write_bytes(public)
        return {"private": str(file), "public": str(shown), "key_id": key_id(public_key(public, str(shown)))}

    told(work, as_json=False)


@app.command()
def new(
    record: Annotated[Path, typer.Argument(help="Record to write.", show_default=False)],
    subject: Annotated[str, typer.Option(help="Pseudonym: the subject's name in the job.", show_default=False)],
    project: Annotated[str, typer.Option(help="The one project that is covered.", show_default=False)],
    purpose: Annotated[list[str], typer.Option(help="What the swap may serve; may be repeated.", show_default=False)],
    contact: Annotated[str, typer.Option(help="How to reach the person or their agent.")] = "not given",
    role: Annotated[
        list[Role] | None,
        typer.Option(help="source-identity (the face is shown), target-performer (covered); by default both."),
    ] = None,
    training: Annotated[bool, typer.Option(help="A network may learn the face.")] = False,
    territory: Annotated[
        list[str] | None, typer.Option(help="Country (ISO 3166-1); by default everywhere.", show_default=False)
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=36500, help="How long it holds.")] = 365,
    evidence: Annotated[
        Path | None, typer.Option(help="The signed paper; only its digest is kept.", show_default=False)
    ] = None,
    revocation: Annotated[str, typer.Option(help="Where consent can be taken back.")] = "by the contact",
    kind: Annotated[Literal["person", "test"], typer.Option(help="test: nobody's consent, for trials.")] = "person",
) -> None:
    """Write a record to be signed."""

    def work() -> Json:
        from faceswap_core.stages.consent import write_signed
        from faceswap_core.storage import sha256_file
        from faceswap_core.trust.consent import new_record

        if record.exists():
            raise SettingsError(f"{record} exists: records are never replaced, name another file")
        if evidence and not evidence.is_file():
            raise SettingsError(f"evidence {evidence} is no file: give the signed paper")
        if evidence is None and kind == "person":
            raise SettingsError("a person's record needs --evidence, the signed paper: give its file")
        document = new_record(
            kind=kind,
            subject=subject,
            contact=contact,
            roles=[r.value for r in role or Role],
            purposes=purpose,
            project=project,
            training=training,
            territories=territory or ["*"],
            days=days,
            evidence_sha256=sha256_file(evidence) if evidence else "0" * 64,
            revocation=revocation,
            now=datetime.now(UTC),
        )
        write_signed(record, document)
        return {"record": str(record), "record_id": document.payload["record_id"], "sha256": document.digest}

    told(work, as_json=False)


@app.command()
def sign(record: Annotated[Path, typer.Argument(help="Record.", show_default=False)], key: KeyFile) -> None:
    """Sign a record with the key of those who keep the papers."""

    def work() -> Json:
        from faceswap_core.stages.consent import read_private, read_signed, write_signed
        from faceswap_core.trust.consent import SCHEMA, read_record
        from faceswap_core.trust.signed import private_key, sign

        document = read_signed(record)
        read_record(document, str(record))
        signed = sign(document, SCHEMA, private_key(read_private(key), str(key)))
        write_signed(record, signed)
        return {"record": str(record), "sha256": signed.digest, "key_id": signed.signatures[-1]["key_id"]}

    told(work, as_json=False)


@app.command()
def revoke(
    record: Annotated[Path, typer.Argument(help="Record whose consent was taken back.", show_default=False)],
    revocations: Annotated[
        Path, typer.Option("--list", help="List to write: revocations.json in trusted_keys.", show_default=False)
    ],
    key: KeyFile,
) -> None:
    """Put a record on the signed list of those that hold no more."""

    def work() -> Json:
        from faceswap_core.stages.consent import read_private, read_signed, write_signed
        from faceswap_core.trust.consent import read_record
        from faceswap_core.trust.revocation import revoked_ids, with_revocation
        from faceswap_core.trust.signed import key_id, private_key

        now = datetime.now(UTC)
        signer = private_key(read_private(key), str(key))
        record_id = read_record(read_signed(record), str(record)).record_id
        before = read_signed(revocations) if revocations.exists() else None
        if before is not None:
            mine = {key_id(signer.public_key()): signer.public_key()}
            revoked_ids(before, mine, now, str(revocations))
        write_signed(revocations, with_revocation(before, record_id, signer, now))
        following = f"faceswap purge {record_id} --workspace FOLDER"
        return {"revoked": record_id, "list": str(revocations), "next": following}

    told(work, as_json=False)


@app.command()
def check(
    job: JobFile,
    override: Overrides = None,
    allow_test_consent: AllowTest = False,
    as_json: AsJson = False,
) -> None:
    """Check the records of both people of a job, as a run does; exit 5 where they do not cover it."""

    def work() -> Json:
        from faceswap_core.jobfile import load_job
        from faceswap_core.stages.consent import ConsentGate

        grants = ConsentGate(load_job(job, override or []), allow_test=allow_test_consent).check("nothing")
        if as_json:
            return dict(grants)
        return {name: f"{grant['kind']} {grant['record']} until {grant['expires']}" for name, grant in grants.items()}

    told(work, as_json=as_json)
