"""The smallest job files and consent records that the tests change to their ends."""

import json
from datetime import UTC, datetime

from faceswap_core.trust.consent import new_record

JOB = {
    "name": "tiny",
    "workspace": "ws",
    "plate.video": "plate.mp4",
    "plate.subject": "a",
    "subjects.a.videos": ["a.mp4"],
    "subjects.b.videos": ["b.mp4"],
    "swap.to": "b",
    "output.video": "out.mp4",
}
QUICK = {
    "encode.preset": "draft",
    "align.size": 64,
    "train.width": 4,
    "train.latent": 16,
    "train.iterations": 10,
}
"""Settings of a run that takes seconds."""
FILM = {
    "name": "film",
    "subjects.a.consent": "a.json",
    "subjects.b.consent": "b.json",
    "provenance.trusted_keys": "keys",
    "provenance.purpose": "dubbing",
}
"""The job that `new_consent` allows, its records beside it."""


def job_text(changes=()):
    """TOML of a job, one dotted key a line; a value of None leaves its key out."""
    settings = {**JOB, **dict(changes)}
    return "".join(
        f"{key} = {json.dumps(value, default=str)}\n" for key, value in settings.items() if value is not None
    )


def write_job(path, changes=()):
    """Write a job that runs in seconds; returns its path."""
    path.write_text(job_text({**QUICK, **dict(changes)}))
    return path


def new_consent(subject, **changes):
    """An unsigned record of one person, which holds from now on for a month, with fields changed as given."""
    given = {
        "kind": "person",
        "subject": subject,
        "contact": "agent@example.org",
        "roles": ["source-identity", "target-performer"],
        "purposes": ["dubbing"],
        "project": "film",
        "training": True,
        "territories": ["*"],
        "days": 30,
        "evidence_sha256": "1" * 64,
        "revocation": "rights@example.org",
        "now": datetime.now(UTC),
    }
    return new_record(**{**given, **changes})
