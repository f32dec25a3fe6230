"""a run -> its folder: run.json from its first moment to its last, and all it logged; its bars, tags and last event."""

from __future__ import annotations

import importlib.metadata
import json
import logging
import platform
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import prefect.runtime

from faceswap_core import layout
from faceswap_core.config import JobSettings
from faceswap_core.config_recode import RecodeSettings
from faceswap_core.config_scan import ScanSettings
from faceswap_core.storage import Workspace
from faceswap_core.types import Json
from flows.child import end_with_service
from flows.history import started
from tasks.artifacts import stage_bars
from tasks.events import run_ended, tag_flow_run
from tasks.progress import StopRequestedError
from tasks.worker import task_run_of

_LOGGERS = ("faceswap_core", "tasks", "flows", "prefect")
_LIBRARIES = ("prefect", "torch", "av", "opencv-python", "numpy", "pyarrow", "faceswap-pipeline")


@dataclass(frozen=True)
class Run:
    """One run of one job."""

    run_id: str
    """Name of its folder: when it began, and the flow run's first digits."""
    folder: Path
    """Where its records lie."""
    began: float
    """Monotonic seconds."""
    workspace: Workspace
    """Of its job."""

    @property
    def seconds(self) -> float:
        """Wall time so far."""
        return time.monotonic() - self.began


@contextmanager
def recorded(job: JobSettings | RecodeSettings | ScanSettings) -> Iterator[Run]:
    """Keep run.json and log.jsonl of the run that happens inside."""
    end_with_service()
    run = _new_run(job)
    facts = {
        "run": run.run_id,
        "flow_run": prefect.runtime.flow_run.id,
        "command": sys.argv,
        **started(),
        "job": job.model_dump(mode="json"),
        "versions": versions(),
        "began": _now(),
        "ended": None,
        "state": "running",
    }
    _write(run, facts)
    tag_flow_run({f"job:{job.name}", *(f"subject:{name}" for name in getattr(job, "subjects", ()))})
    state, told = "failed", {}
    try:
        with _logged(run.folder / "log.jsonl"), stage_bars():
            yield run
        state = "completed"
    except (StopRequestedError, KeyboardInterrupt):
        state = "interrupted"
        raise
    except Exception as error:
        told = {"error": type(error).__name__, "message": str(error), "exit_code": getattr(error, "exit_code", 1)}
        raise
    finally:
        run.workspace.push(layout.run_folder(run.run_id))
        ending = {"ended": _now(), "state": state, "seconds": round(run.seconds, 3)}
        _write(run, facts | ending)
        named = {"id": run.run_id, "name": job.name, "workspace": str(job.workspace)}
        run_ended(state, named, ending | told | {"folder": str(run.folder)})


def _new_run(job: JobSettings | RecodeSettings | ScanSettings) -> Run:
    workspace = Workspace(job.workspace)
    workspace.begin()
    flow_run = str(prefect.runtime.flow_run.id or "none")
    run_id = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{flow_run.replace('-', '')[-8:]}"
    folder = workspace.path(layout.run_folder(run_id))
    folder.mkdir(parents=True, exist_ok=True)
    return Run(run_id, folder, time.monotonic(), workspace)


def versions() -> dict[str, str]:
    """Versions of Python and of the libraries that pixels and orchestration depend on."""
    return {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in _LIBRARIES}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _write(run: Run, facts: Json) -> None:
    run.workspace.write(layout.run_record(run.run_id), json.dumps(facts, indent=1).encode())


class _JsonLines(logging.Handler):
    """Writes each record as one JSON object a line."""

    def __init__(self, path: Path) -> None:
        super().__init__(logging.INFO)
        self._stream = path.open("a", encoding="utf-8")

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "task_run": task_run_of(record),
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["traceback"] = logging.Formatter().formatException(record.exc_info)
        self._stream.write(json.dumps(line) + "\n")
        self._stream.flush()

    def close(self) -> None:
        """Close the file."""
        self._stream.close()
        super().close()


def log_at_info() -> list[logging.Logger]:
    """Let what our loggers say of each chunk through, to the flow UI, too."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    for logger in loggers:
        if not logger.isEnabledFor(logging.INFO):
            logger.setLevel(logging.INFO)
    return loggers


@contextmanager
def _logged(path: Path) -> Iterator[None]:
    handler = _JsonLines(path)
    loggers = log_at_info()
    for logger in loggers:
        logger.addHandler(handler)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
        handler.close()
