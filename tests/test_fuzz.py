"""Mutated job files, records, lists, sidecars, task records, manifests, weights: a typed error each, nothing else.

`make test` sends a few hundred of each; FACESWAP_FUZZ sets another number, FACESWAP_FUZZ_SEED another seed.
"""

import json
import os
import random
import time
from datetime import UTC, datetime

import pytest
import torch

from faceswap_core import manifest
from faceswap_core.config import JobSettings
from faceswap_core.errors import FaceswapError
from faceswap_core.jobfile import load_job
from faceswap_core.models.checkpoint import load_weights, save_weights
from faceswap_core.schemas import FRAMES, REPORT
from faceswap_core.stages.weights import read_facts
from faceswap_core.storage import Workspace, sha256_file
from faceswap_core.trust.consent import SCHEMA, Wanted, check_record
from faceswap_core.trust.revocation import revoked_ids, with_revocation
from faceswap_core.trust.signed import key_id, new_key, parse_signed, private_key, sign
from faceswap_core.trust.statement import consent_fault, label_text, read_sidecar, sidecar_fault
from tests.jobs import new_consent

ROUNDS = int(os.environ.get("FACESWAP_FUZZ", "150"))
SEED = int(os.environ.get("FACESWAP_FUZZ_SEED", "20261121"))
SECONDS = 5.0
NOW = datetime(2026, 11, 21, tzinfo=UTC)
KEY = private_key(new_key()[0], "key")
TRUSTED = {key_id(KEY.public_key()): KEY.public_key()}
WORDS = [b"", b"\0", b"-1", b"9" * 400, b"NaN", b"../../etc/passwd", b'"', b"[" * 300, b"{" * 300, b"\xff\xfe", b"null"]


def mutated(data: bytes, rng: random.Random) -> bytes:
    """One to four changes: a flipped bit, a word put in, a piece cut out, doubled or moved."""
    out = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(out) + 1)
        end = min(len(out), at + rng.randint(1, 40))
        match rng.randrange(5):
            case 0 if at < len(out):
                out[at] ^= 1 << rng.randrange(8)
            case 1:
                out[at:at] = rng.choice(WORDS)
            case 2:
                del out[at:end]
            case 3:
                out[at:at] = out[at:end] * rng.randint(1, 30)
            case _:
                out = out[at:] + out[:at]
    return bytes(out)


JOB = """
name = "interview"
workspace = "work"
[plate]
video = "plate.mp4"
subject = "a"
[subjects.a]
videos = ["a1.mp4"]
consent = "a.json"
[subjects.b]
videos = ["b1.mp4"]
[swap]
to = "b"
[output]
video = "out.mp4"
[provenance]
purpose = "dubbing"
label = {mode = "whole", seconds = 4.0}
[encode]
crf = 18
"""
RECORD = sign(
    new_consent("a", roles=["target-performer"], days=9, now=NOW),
    SCHEMA,
    KEY,
)
WANTED = Wanted("a", "target-performer", "film", "dubbing", ("DE",), True)


def as_job(path):
    assert isinstance(load_job(path), JobSettings)


def as_record(path):
    document = parse_signed(path.read_bytes(), "record")
    arguments = {"trusted": TRUSTED, "revoked": frozenset(), "now": NOW, "allow_test": False, "source": "record"}
    assert check_record(document, WANTED, **arguments)["sha256"] == RECORD.digest  # or it was not refused and should be


def as_list(path):
    revoked_ids(parse_signed(path.read_bytes(), "list"), TRUSTED, NOW, "list")


def as_sidecar(path):
    document = read_sidecar(path.read_bytes(), "sidecar")
    sidecar_fault(document, [], NOW)
    consent_fault(document["payload"])
    label_text(document["payload"])


def as_weights(path):
    read_facts(path)
    load_weights(path, torch.nn.Linear(3, 2))


def as_manifest(path):
    workspace = Workspace(path.parent)
    ref = {"path": path.name, "sha256": sha256_file(path), "rows": 3, "schema": "report/1"}
    list(manifest.stream(workspace, ref, REPORT))
    manifest.metadata(workspace, ref, REPORT)


def as_task_record(path):
    from tasks.records import admit

    folder = path.parent / ".prefect-results"
    folder.mkdir(exist_ok=True)
    (folder / "key").write_bytes(path.read_bytes())
    admit(str(path.parent), "key")


def seed_of(kind, folder):
    """A good file of its kind."""
    path = folder / "good"
    if kind is as_job:
        path.write_text(JOB)
    elif kind is as_record:
        path.write_text(RECORD.to_json())
    elif kind is as_list:
        path.write_text(with_revocation(None, "somebody-1", KEY, NOW).to_json())
    elif kind is as_sidecar:
        payload = {"consents": [{"role": "x", "record": "y"}], "label": {"mode": "off", "reason": "r"}, "test": True}
        path.write_text(json.dumps({"payload": payload, "signature": {"chain": "x", "sig": "eA=="}}))
    elif kind is as_weights:
        facts = {"model": "original", "resolution": 64, "width": 4, "latent": 8, "sides": ["a", "b"], "coverage": 0.6}
        colors = {n: {"mean": [1, 2, 3], "scale": [1, 1, 1], "shift": [0, 0, 0]} for n in "ab"}
        facts |= {"eye_distance": 0.4, "step": 3, "colors": colors, "consents": {"a": {"record": "x", "kind": "test"}}}
        save_weights(path, torch.nn.Linear(3, 2), facts)
    elif kind is as_manifest:
        rows = [{"check": str(n), "passed": True, "detail": "x" * n} for n in range(3)]
        ref = manifest.publish(Workspace(folder), "m", "report", REPORT, rows)
        path = folder / ref["path"]
    else:
        serializer = {"type": "json", "jsonlib": "json", "object_encoder": "tasks.records.error_as_text"}
        result = json.dumps({"path": "x", "sha256": "0" * 64, "rows": 1, "schema": FRAMES.metadata and "frames/1"})
        path.write_text(json.dumps({"metadata": {"serializer": serializer}, "result": result}))
    return path.read_bytes()


KINDS = [as_job, as_record, as_list, as_sidecar, as_weights, as_manifest, as_task_record]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__[3:])
def test_mutated_input_ends_in_a_typed_error_or_is_taken(kind, tmp_path):
    rng = random.Random(f"{SEED} {kind.__name__}")
    good = seed_of(kind, tmp_path)
    work = tmp_path / "work"
    work.mkdir()
    said: list[FaceswapError] = []
    for number in range(ROUNDS):
        path = work / "input"
        path.write_bytes(mutated(good, rng))
        began = time.process_time()
        try:
            kind(path)
        except FaceswapError as error:
            said.append(error)
        assert time.process_time() - began < SECONDS, number
    assert all(error.exit_code in (1, 2, 5) and len(str(error)) < 4000 for error in said)
    assert said or kind is as_task_record
    assert {p.name for p in work.iterdir()} <= {"input", ".prefect-results"}
    print(f"{kind.__name__[3:]}: {ROUNDS} inputs, {len(said)} refused, seed {SEED}")
