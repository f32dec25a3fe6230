"""a folder of job files -> runs: each file is claimed, checked, started once, and sorted by how its run ended.

    inbox/NAME.toml            waits
    inbox/claimed/NAME.toml    is checked or runs; NAME.run beside it holds the id of its flow run
    inbox/bad/NAME.toml        cannot be a job; NAME.txt beside it says why
    inbox/done/ and failed/    its run ended; NAME.json beside it says how and where output and report are

A claim is a rename, so only one watcher wins it. A run is started under a key made of the file's name and content: a
watcher that died between starting and noting the run starts nothing twice. A failed job that was run again, from the
UI or by a command, moves on to ``done`` at the next look.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from pathlib import Path
from uuid import UUID

from prefect import flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import FlowRun
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound

from faceswap_core.errors import FaceswapError
from faceswap_core.jobfile import load_job
from faceswap_core.storage import atomic_path
from faceswap_core.types import Json

_log = logging.getLogger(__name__)
FOLDERS = ("claimed", "bad", "done", "failed")


@flow(name="inbox", flow_run_name="inbox · {folder}", persist_result=False)
def inbox(folder: Path = Path("inbox"), deployment: str = "swap-video/swap-video") -> dict[str, int]:
    """Look once at a folder of job files.

    Args:
        folder: The folder; paths in a job file count from it.
        deployment: What runs a job, as FLOW/DEPLOYMENT.

    Returns:
        How many files were started, refused, and sorted as done and as failed.
    """
    folder = folder.absolute()
    for name in FOLDERS:
        (folder / name).mkdir(parents=True, exist_ok=True)
    counts = dict.fromkeys(("started", "bad", "done", "failed"), 0)
    for path in sorted(folder.glob("*.toml")):
        _claim(path)
    for path in sorted((folder / "claimed").glob("*.toml")):
        if not _receipt(path).exists():
            counts[_start(path, deployment)] += 1
    with get_client(sync_client=True) as client:
        for place in ("claimed", "failed"):
            for path in sorted((folder / place).glob("*.toml")):
                ended = _sort(client, path)
                if ended:
                    counts[ended] += 1
    return counts


def _claim(path: Path) -> None:
    try:
        path.rename(_free(path.parent / "claimed" / path.name))
    except FileNotFoundError:
        _log.info("%s was claimed by another watcher", path.name)


def _free(path: Path) -> Path:
    """The path itself, or one with a number where a file of that name lies there already."""
    number, free = 1, path
    while free.exists():
        number += 1
        free = path.with_stem(f"{path.stem}-{number}")
    return free


def _receipt(path: Path) -> Path:
    return path.with_suffix(".run")


def _start(path: Path, deployment: str) -> str:
    """Check a claimed file and start its run; gives the count it belongs to."""
    try:
        job = load_job(path, folder=path.parents[1])
    except FaceswapError as error:
        _move(path, "bad", ".txt", f"{error}\n")
        _log.warning("%s is no job: %s", path.name, error)
        return "bad"
    run = run_deployment(
        deployment,
        parameters={"job": job.model_dump(mode="json")},
        timeout=0,
        as_subflow=False,
        idempotency_key=_key(path),
        tags=["inbox"],
    )
    assert isinstance(run, FlowRun)
    with atomic_path(_receipt(path)) as temporary:
        temporary.write_text(str(run.id))
    _log.info("%s runs as %s", path.name, run.name)
    return "started"


def _key(path: Path) -> str:
    """One per file given: the same file given again later, under another stamp, is another job."""
    stamp = f"{path.name} {path.stat().st_mtime_ns} ".encode()
    return f"inbox-{hashlib.sha256(stamp + path.read_bytes()).hexdigest()[:32]}"


def _sort(client: SyncPrefectClient, path: Path) -> str | None:
    """Move a job whose run has ended to where it belongs; None where it stays."""
    try:
        run = client.read_flow_run(UUID(_receipt(path).read_text()))
    except (ObjectNotFound, ValueError, OSError):
        return None  # the run was deleted by somebody: the file stays where it is
    state = run.state
    if state is None or not state.is_final():
        return None
    place = "done" if state.is_completed() else "failed"
    if path.parent.name == place:
        return None
    _move(path, place, ".json", json.dumps(_ending(run), indent=1))
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


def _move(path: Path, place: str, suffix: str, text: str) -> None:
    """Move a job file with its receipt, and leave word beside it: the word first, so that it is never missing."""
    target = _free(path.parents[1] / place / path.name)
    with atomic_path(target.with_suffix(suffix)) as temporary:
        temporary.write_text(text)
    receipt = _receipt(path)
    if receipt.exists():
        os.replace(receipt, _receipt(target))
    os.replace(path, target)
    for stale in (".txt", ".json"):
        path.with_suffix(stale).unlink(missing_ok=True)
