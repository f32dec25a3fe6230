"""The formats that strangers can write: how each is read, a good file of each, and what is done to it.

Media stands in `tests.media_formats`, as it is read in a limited child.
"""

import json
import os
import random
import socket
from datetime import UTC, datetime

import torch

from faceswap_core import manifest
from faceswap_core.config import JobSettings
from faceswap_core.errors import FaceswapError
from faceswap_core.jobfile import load_job
from faceswap_core.models import MODELS, Build
from faceswap_core.models.checkpoint import POINTER, Store, save_weights
from faceswap_core.schemas import REPORT
from faceswap_core.stages.lease import lease
from faceswap_core.stages.weights import FINISHED, Swapper, finished_weights
from faceswap_core.storage import Workspace, file_ref, sha256_file
from faceswap_core.trust.consent import SCHEMA, Wanted, check_record
from faceswap_core.trust.revocation import revoked_ids, with_revocation
from faceswap_core.trust.signed import key_id, new_key, parse_signed, private_key, sign
from faceswap_core.trust.statement import consent_fault, label_text, read_sidecar, sidecar_fault
from flows.history import find, runs_of, settings_of, started
from tests.jobs import new_consent

NOW = datetime(2026, 11, 21, tzinfo=UTC)
KEY = private_key(new_key()[0], "key")
TRUSTED = {key_id(KEY.public_key()): KEY.public_key()}
WORDS = [b"", b"\0", b"-1", b"9" * 400, b"NaN", b"../../etc/passwd", b'"', b"[" * 300, b"{" * 300, b"\xff\xfe", b"null"]
HEADER = 2048
"""Bytes at the beginning in which half of all changes are made, as whole films of noise teach little."""


def mutated(data: bytes, rng: random.Random) -> bytes:
    """One to four changes: a flipped bit, a word put in, a piece cut out, doubled or moved."""
    out = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange((min(len(out), HEADER) if rng.random() < 0.5 else len(out)) + 1)
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
BUILD = {"resolution": 64, "width": 4, "latent": 8}
FACTS = {
    **{"model": "original", "build": BUILD, "sides": ["a", "b"], "coverage": 0.6, "eye_distance": 0.4, "step": 3},
    "colors": {name: {"mean": [1, 2, 3], "scale": [1, 1, 1], "shift": [0, 0, 0]} for name in "ab"},
    "consents": {"a": {"record": "x", "kind": "test"}},
}
SERIALIZER = {"type": "json", "jsonlib": "json", "object_encoder": "tasks.records.error_as_text"}


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
    Swapper(Workspace(path.parent), file_ref(path), torch.device("cpu"))


def as_state(path):
    """The state of a training behind a pointer that vouches for it."""
    (path.parent / POINTER).write_text(json.dumps(_pointer(path)))
    Store(path.parent).load({"network": torch.nn.Linear(3, 2)}, {})


def as_pointer(path):
    """What a checkpoint folder says of itself: its latest state, its finished weights, and who holds it."""
    data = path.read_bytes()
    _network_of(path.parent)
    for name in (POINTER, FINISHED, "lease.json"):
        (path.parent / name).write_bytes(data)
    faults = []
    for read in (_load_state, finished_weights, _take):
        try:
            read(path.parent)
        except FaceswapError as error:
            faults.append(error)
    if faults:
        raise faults[0]


def _pointer(path):
    held = {"host": socket.gethostname(), "pid": os.getpid(), "expires": 0}
    return {"file": path.name, "sha256": sha256_file(path), "step": 1, "kept": [], **held}


def _network_of(folder):
    """The weights that a good pointer names, written where they are missing."""
    path = folder / "weights"
    if not path.is_file():
        torch.manual_seed(0)
        save_weights(path, torch.nn.ModuleDict({"network": torch.nn.Linear(3, 2)}), FACTS)
    return path


def _load_state(folder):
    Store(folder).load({"network": torch.nn.Linear(3, 2)}, {})
    Store(folder).listed()


def _take(folder):
    with lease(Workspace(folder.parent), folder.name):
        pass


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


def as_run(path):
    """run.json, as `faceswap runs` reads it."""
    folder = path.parent / "runs" / "1"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.json").write_bytes(path.read_bytes())
    runs_of(path.parent)
    settings_of(find(path.parent, "last"))


def good(kind, folder):
    """Bytes of a file that is read without a fault."""
    path = folder / "good"
    match kind:
        case "job":
            path.write_text(JOB)
        case "record":
            path.write_text(RECORD.to_json())
        case "list":
            path.write_text(with_revocation(None, "somebody-1", KEY, NOW).to_json())
        case "sidecar":
            payload = {"consents": [{"role": "x", "record": "y"}], "label": {"mode": "off", "reason": "r"}}
            path.write_text(json.dumps({"payload": payload, "signature": {"chain": "x", "sig": "eA=="}}))
        case "weights":
            save_weights(path, MODELS["original"](Build(**BUILD)), FACTS)
        case "state":
            save_weights(path, torch.nn.ModuleDict({"network": torch.nn.Linear(3, 2)}), FACTS)
        case "pointer":
            path.write_text(json.dumps(_pointer(_network_of(folder))))
        case "manifest":
            rows = [{"check": str(n), "passed": True, "detail": "x" * n} for n in range(3)]
            path = folder / manifest.publish(Workspace(folder), "m", "report", REPORT, rows)["path"]
        case "run":
            people = {name: {"videos": [f"{name}.mp4"]} for name in "ab"}
            job = {"name": "x", "workspace": "ws", "plate": {"video": "p.mp4", "subject": "a"}, "swap": {"to": "b"}}
            job |= {"subjects": people, "output": {"video": "out.mp4"}}
            facts = {"run": "1", "state": "running", **started(), "job": job, "began": "now"}
            path.write_text(json.dumps(facts))
        case _:
            result = json.dumps({"path": "x", "sha256": "0" * 64, "rows": 1, "schema": "frames/1"})
            path.write_text(json.dumps({"metadata": {"serializer": SERIALIZER}, "result": result}))
    return path.read_bytes()


KINDS = {
    kind.__name__.removeprefix("as_"): kind
    for kind in (
        *(as_job, as_record, as_list, as_sidecar, as_weights, as_state, as_pointer),
        *(as_manifest, as_task_record, as_run),
    )
}
