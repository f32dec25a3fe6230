"""one order on stdin -> messages on stdout: the process in which unchecked media is opened (see `sandbox`).

Messages are JSON objects, one a line: ``{"told": ...}`` while the work goes on, then one of ``{"result": ...}``,
``{"error": class, "message": text}``, ``{"memory": true}`` or ``{"fault": text}``, with ``cpu_seconds`` beside it.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import math
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, TextIO

from faceswap_core.errors import FaceswapError
from faceswap_core.types import Json
from faceswap_core.video.sandbox import Tell

_PR_SET_PDEATHSIG = 1
_OPEN_FILES = 16
"""Files open at a time: the video, once more to read it from its beginning, the pipes, and a few to import by."""


def main() -> None:
    """Run the function that the order names, within the order's limits."""
    channel = _take_stdout()
    order = json.loads(sys.stdin.buffer.readline())
    _die_with_parent()
    module, _, name = order["function"].partition(":")
    function = getattr(importlib.import_module(module), name)
    seconds = float(order["seconds"])
    _silence()
    _limit(int(order["memory_bytes"]))
    _arm_clock(seconds)

    def tell(message: Any) -> None:
        _arm_clock(seconds)
        _send(channel, {"told": message})

    outcome = _outcome(function, order["arguments"], tell)
    _send(channel, {**outcome, "cpu_seconds": time.process_time()})


def _outcome(function: Callable[[Json, Tell], Any], arguments: Json, tell: Tell) -> Json:
    try:
        return {"result": function(arguments, tell)}
    except MemoryError:
        return {"memory": True}
    except FaceswapError as error:
        return {"error": type(error).__name__, "message": str(error)}
    except Exception as error:  # the edge of the process: whatever broken media caused goes back as words
        return {"memory": True} if _is_out_of_memory(error) else {"fault": f"{type(error).__name__}: {error}"}


def _is_out_of_memory(error: Exception) -> bool:
    """True for OpenCV's own way of saying so (StsNoMem)."""
    return getattr(error, "code", None) == -4


def _take_stdout() -> TextIO:
    """The pipe to the parent; what libraries print goes to stderr instead."""
    channel = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)
    return channel


def _silence() -> None:
    """Drop what libraries print about broken media; until now stderr was the place for what fails in Python."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)


def _send(channel: TextIO, message: Json) -> None:
    channel.write(json.dumps(message) + "\n")
    channel.flush()


def _die_with_parent() -> None:
    """End when the parent does: by the kernel on Linux, and by the end of stdin everywhere."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    threading.Thread(target=_wait_for_end_of_stdin, daemon=True).start()


def _wait_for_end_of_stdin() -> None:
    while os.read(0, 1):
        pass
    os._exit(1)


def _limit(memory_bytes: int) -> None:
    """No more memory than allowed, nothing written to any file, no core file, few open files."""
    _lower(resource.RLIMIT_AS, memory_bytes)
    _lower(resource.RLIMIT_FSIZE, 0)
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_NOFILE, _OPEN_FILES)


def _lower(kind: int, value: int) -> None:
    """Set a limit for good, unless it is lower already."""
    _, hard = resource.getrlimit(kind)
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (value, value))


def _arm_clock(seconds: float) -> None:
    """Let the kernel end this process after so many further seconds of processor time."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(usage.ru_utime + usage.ru_stime + seconds), hard))


if __name__ == "__main__":
    main()
