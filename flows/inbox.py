"""a folder, or a prefix of a bucket, of job files -> runs: each is claimed, checked, started once, and sorted.

    inbox/NAME.toml            waits
    inbox/claimed/NAME.toml    is checked or runs; NAME.run beside it holds the id of its flow run
    inbox/bad/NAME.toml        cannot be a job; NAME.txt beside it says why
    inbox/done/ and failed/    its run ended; NAME.json beside it says how and where output and report are

Only one watcher wins a claim (`faceswap_core.inboxes`). A run is started under a key made of the file's name, version
and content: a watcher that died between starting and noting the run starts nothing twice. A failed job that was run
again, from the UI or by a command, moves on to ``done`` at the next look.
"""

from __future__ import annotations

import hashlib
import json
import logging
from pathlib import Path
from uuid import UUID

from prefect import flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import FlowRun
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound

from faceswap_core.config_branch import Place
from faceswap_core.errors import FaceswapError
from faceswap_core.inboxes import Inbox, inbox_at
from faceswap_core.jobfile import parse_job
from faceswap_core.types import Json

_log = logging.getLogger(__name__)


@flow(name="inbox", flow_run_name="inbox · {folder}", persist_result=False)
def inbox(folder: Place = Path("inbox"), deployment: str = "swap-video/swap-video") -> dict[str, int]:
    """Look once at the job files of an inbox.

    Args:
        folder: The folder, from which paths in a job file count; or s3://bucket/prefix, and they count from here.
        deployment: What runs a job, as FLOW/DEPLOYMENT.

    Returns:
        How many files were started, refused, and sorted as done and as failed.
    """
    box = inbox_at(folder)
    counts = dict.fromkeys(("started", "bad", "done", "failed"), 0)
    for name in box.names():
        box.claim(name)
    for name in box.names("claimed"):
        if box.read(_beside(name, ".run")) is None:
            counts[_start(box, name, deployment)] += 1
    with get_client(sync_client=True) as client:
        for place in ("claimed", "failed"):
            for name in box.names(place):
                ended = _sort(client, box, name)
                if ended:
                    counts[ended] += 1
    return counts


def _beside(name: str, suffix: str) -> str:
    """Name of what lies beside a job file: its receipt, or word of how it fared."""
    return name.removesuffix(".toml") + suffix


def _start(box: Inbox, name: str, deployment: str) -> str:
    """Check a claimed file and start its run; gives the count it belongs to."""
    text = box.read(name) or b""
    try:
        job = parse_job(text, source=f"job file {name}", folder=box.base)
    except FaceswapError as error:
        _move(box, name, "bad", ".txt", f"{error}\n")
        _log.warning("%s is no job: %s", name, error)
        return "bad"
    digest = hashlib.sha256(f"{box.identity(name)} ".encode() + text).hexdigest()
    run = run_deployment(
        deployment,
        parameters={"job": job.model_dump(mode="json")},
        timeout=0,
        as_subflow=False,
        idempotency_key=f"inbox-{digest[:32]}",
        tags=["inbox"],
    )
    assert isinstance(run, FlowRun)
    box.write(_beside(name, ".run"), str(run.id).encode())
    _log.info("%s runs as %s", name, run.name)
    return "started"


def _sort(client: SyncPrefectClient, box: Inbox, name: str) -> str | None:
    """Move a job whose run has ended to where it belongs; None where it stays."""
    try:
        run = client.read_flow_run(UUID((box.read(_beside(name, ".run")) or b"").decode()))
    except (ObjectNotFound, ValueError):
        return None  # the run was deleted by somebody: the file stays where it is
    state = run.state
    if state is None or not state.is_final():
        return None
    place = "done" if state.is_completed() else "failed"
    if name.startswith(f"{place}/"):
        return None
    _move(box, name, place, ".json", json.dumps(_ending(run), indent=1))
    return place


def _ending(run: FlowRun) -> Json:
    """How a run ended, and where what it made lies."""
    assert run.state
    job = run.parameters.get("job", {})
    return {
        "flow_run": str(run.id),
        "name": run.name,
        "state": run.state.name,
        "message": run.state.message,
        "output": job.get("output", {}),
        "workspace": job.get("workspace"),
    }


def _move(box: Inbox, name: str, place: str, suffix: str, text: str) -> None:
    """Move a job file with its receipt, and leave word beside it: the word first, so that it is never missing."""
    target = box.free(f"{place}/{name.rpartition('/')[2]}")
    box.write(_beside(target, suffix), text.encode())
    box.move(_beside(name, ".run"), _beside(target, ".run"))
    box.move(name, target)
    for stale in (".txt", ".json"):
        box.remove(_beside(name, stale))
