"""run folders of a workspace -> what ran, how it ended, and how it goes on."""

from __future__ import annotations

import json
import os
import signal
import socket
from fnmatch import fnmatch
from pathlib import Path

from faceswap_core import layout
from faceswap_core.config import JobSettings
from faceswap_core.config_recode import RecodeSettings
from faceswap_core.errors import SettingsError
from faceswap_core.jobfile import parse
from faceswap_core.schemas import CHUNKS, schema_name
from faceswap_core.stages.states import frame_states
from faceswap_core.storage import Workspace, sha256_file
from faceswap_core.types import Json, ManifestRef


def started() -> Json:
    """What tells this process from every other: host, process id and when it began, in ticks since the host did."""
    return {"host": socket.gethostname(), "pid": os.getpid(), "process_began": _began(os.getpid())}


def _began(pid: int) -> int | None:
    """Start of a living process in clock ticks since boot; None where it is gone or the system does not say."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else int(fields[19])


def runs_of(place: Path | str) -> list[Json]:
    """run.json of every run, the oldest first, each with the state that it is truly in.

    Raises:
        SettingsError: the place is no workspace.
    """
    workspace = Workspace(place)
    records = workspace.pull(layout.RUNS, lambda name: fnmatch(name, layout.run_record("*")))
    if not records and not (workspace.root / layout.RUNS).is_dir():
        raise SettingsError(f"{place} holds no runs: name the workspace of a job with --workspace")
    found = []
    for path in sorted(map(workspace.path, records)):
        try:
            facts = json.loads(path.read_text())
        except (OSError, ValueError, RecursionError):
            continue  # a folder that was cut off while its first file was written
        if _is_record(facts):
            found.append(facts | {"state": _true_state(facts), "folder": str(path.parent)})
    return found


def _is_record(facts: object) -> bool:
    """Whether something read was written by `record.recorded`, as far as it is used."""
    if not isinstance(facts, dict) or not isinstance(facts.get("job"), dict):
        return False
    return isinstance(facts.get("run"), str) and isinstance(facts.get("pid"), int | None)


def find(workspace: Path | str, name: str) -> Json:
    """The run of a name, or of the end of one, or ``last``.

    Raises:
        SettingsError: no run is called so, or several.
    """
    runs = runs_of(workspace)
    fitting = runs[-1:] if name == "last" else [run for run in runs if str(run["run"]).endswith(name)]
    if len(fitting) != 1:
        names = ", ".join(str(run["run"]) for run in (fitting or runs)[-8:]) or "none"
        raise SettingsError(f"{len(fitting)} runs of {workspace} are called {name!r}: name one of {names}")
    return fitting[0]


def fetch_folder(workspace: Path | str, facts: Json) -> None:
    """Have the report and the log of a run here."""
    Workspace(workspace).pull(layout.run_folder(str(facts["run"])))


def _true_state(facts: Json) -> str:
    """``running`` becomes ``crashed`` where the process is gone."""
    state = str(facts.get("state"))
    if state == "running" and facts.get("host") == socket.gethostname() and not is_alive(facts):
        return "crashed"
    return state


def is_alive(facts: Json) -> bool:
    """Whether the process of a run of this host is still there."""
    return facts.get("pid") is not None and _began(int(facts["pid"])) == facts.get("process_began") is not None


def settings_of(facts: Json) -> JobSettings | RecodeSettings:
    """The settings that a run was started with.

    Raises:
        SettingsError: they were written by a version with other settings.
    """
    job = facts["job"]
    source = f"run {facts['run']}"
    return parse(JobSettings, job, source=source) if "plate" in job else parse(RecodeSettings, job, source=source)


def cancel(facts: Json) -> None:
    """Ask a run on this host to stop after its running chunks, as Ctrl-C does.

    Raises:
        SettingsError: it does not run, or not on this host.
    """
    if facts["state"] != "running":
        raise SettingsError(f"run {facts['run']} is {facts['state']}: only a running one can be cancelled")
    if facts.get("host") != socket.gethostname():
        raise SettingsError(f"run {facts['run']} runs on {facts.get('host')}: cancel it there, or in the flow UI")
    os.kill(int(facts["pid"]), signal.SIGINT)


def forget_failed_chunks(workspace: Workspace) -> int:
    """Remove the manifests of encoded chunks with failed frames, so that these chunks alone are made again.

    Returns:
        how many were removed.
    """
    removed = 0
    for name in sorted(workspace.pull(layout.CHUNKS, lambda name: fnmatch(name, f"{layout.CHUNKS}/*.parquet"))):
        path = workspace.path(name)
        ref = ManifestRef(path=name, sha256=sha256_file(path), rows=0, schema=schema_name(CHUNKS))
        if any(state["state"] == "failed" for state in frame_states(workspace, [ref])):
            workspace.remove(name)
            removed += 1
    return removed
