"""one training -> several processes of it, on this machine and others, started by torchrun.

This process starts them, hears from them and stops them; it holds no network and no GPU of theirs. Each end of the
way is one JSON object a line: ``{"told": [done, total, note]}``, then ``{"result": ...}`` or ``{"error": class,
"message": text}``. They end with this process, for they watch the pipe that it holds open.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys

from faceswap_core import errors
from faceswap_core.config import RuntimeSettings, TrainSettings
from faceswap_core.errors import FaceswapError, SettingsError
from faceswap_core.storage import Workspace
from faceswap_core.types import Json, Progress

_PATIENCE_SECONDS = 30.0
"""For processes that were asked to end, before they are killed."""


def train_in_processes(workspace: Workspace, order: Json, runtime: RuntimeSettings, progress: Progress) -> Json:
    """Run ``train_model`` with the order's arguments in every process; returns what the first of them published.

    Raises:
        FaceswapError: of the class that a process failed with.
    """
    with workspace.scratch(".json") as path:
        path.write_text(json.dumps(order))
        module = ["-m", "faceswap_core.stages.train_child", str(path)]
        process = subprocess.Popen(
            [sys.executable, "-m", "torch.distributed.run", *_places(runtime), *module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # a Ctrl-C in the terminal reaches them through this process alone
        )
        try:
            return _heard(process, progress)
        finally:
            _end(process)


def check_processes(settings: TrainSettings, runtime: RuntimeSettings) -> None:
    """Refuse settings under which the processes cannot share a batch or find each other.

    Raises:
        SettingsError: naming the setting.
    """
    parts = runtime.processes * runtime.nodes * settings.accumulate
    if settings.batch % parts:
        raise SettingsError(
            f"train.batch is {settings.batch}, no multiple of runtime.processes x runtime.nodes x train.accumulate "
            f"({parts}): change one of them"
        )
    if runtime.nodes > 1 and (not runtime.rendezvous or runtime.node >= runtime.nodes):
        raise SettingsError(
            f"runtime.nodes is {runtime.nodes}, runtime.node {runtime.node} and runtime.rendezvous "
            f"{runtime.rendezvous!r}: each machine needs a number below nodes, and HOST:PORT of machine 0"
        )


def _places(runtime: RuntimeSettings) -> list[str]:
    if runtime.nodes == 1:
        return ["--standalone", f"--nproc-per-node={runtime.processes}"]
    host, _, port = runtime.rendezvous.rpartition(":")
    return [
        *(f"--nnodes={runtime.nodes}", f"--node-rank={runtime.node}", f"--nproc-per-node={runtime.processes}"),
        *(f"--master-addr={host}", f"--master-port={port}"),
    ]


def _heard(process: subprocess.Popen[str], progress: Progress) -> Json:
    assert process.stdout is not None
    result: Json | None = None
    for line in process.stdout:
        message = json.loads(line)
        if "told" in message:
            progress(*message["told"])
        elif "error" in message:
            kind = getattr(errors, message["error"], FaceswapError)
            raise kind(message["message"])
        else:
            result = message["result"]
    code = process.wait()
    if result is None or code:
        raise FaceswapError(
            f"the training's processes ended with status {code} and no result: their words stand above; "
            "the same command goes on from the last checkpoint"
        )
    return result


def _end(process: subprocess.Popen[str]) -> None:
    """Ask what still runs to end, then end it; torchrun hands the signal on to every process."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_PATIENCE_SECONDS)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
