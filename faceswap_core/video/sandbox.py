"""function + arguments -> its result, computed in a child process with limits: the way to open unchecked media.

A parser of broken or hostile media may hang, crash, or ask for all memory. In a child it takes nothing along: the
child has a limit of memory and of processor time, can write to no file, is killed with its process group when it
is silent for too long or when the caller is interrupted, and dies with its parent. Both sides speak JSON.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

from faceswap_core import errors
from faceswap_core.errors import EnvironmentFault, FaceswapError, MediaError
from faceswap_core.types import Json

Tell = Callable[[Any], None]
"""Sends one JSON value to the parent, and starts the clock anew."""

_PATIENCE = 10
"""Seconds on the wall for each of processor time: other processes and slow disks take their share."""
_LONGEST_MESSAGE = 1 << 29
"""Bytes of one message, at most: several million frames of an index."""
_KEPT_VARIABLES = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LANG", "LC_ALL")
"""What the child learns of the environment: how to find libraries, no secrets."""
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}
"""Each further thread would reserve address space that the memory limit counts."""

_ROOT = Path(errors.__file__).parents[1]
"""Where this very package lies; it comes first in the child, where nothing else of its name may be found before."""


@dataclass(frozen=True)
class Limits:
    """How much a child may use."""

    memory_mb: int = 4096
    """Address space, in MiB; the libraries alone take about 450."""
    seconds: float = 60.0
    """Seconds of processor time between two messages; ten times as many on the wall."""


DEFAULT_LIMITS = Limits()


_spent = threading.local()


def child_seconds() -> float:
    """Seconds of processor time of all children that the calling thread has waited for to their end."""
    return float(getattr(_spent, "seconds", 0.0))


def ignore(message: Any) -> None:
    """Take no notice of what a child tells."""


def run_limited(
    function: Callable[[Json, Tell], Any],
    arguments: Json,
    *,
    source: str | Path,
    limits: Limits = DEFAULT_LIMITS,
    told: Tell = ignore,
) -> Any:
    """Call ``function(arguments, tell)`` in a child process and return its result.

    Args:
        function: found by its module's and its own name; takes and gives JSON values. Its module should import
            little, as the child does so anew.
        arguments: a JSON object.
        source: the media file, for messages.
        limits: memory and time.
        told: called here with everything that the function tells, as it does.

    Raises:
        FaceswapError: the very class and message that the function raised.
        MediaError: a limit was hit, the child crashed, or the function failed in a way it does not name.
        EnvironmentFault: Python itself failed in the child, as where it finds no library to import.
    """
    order = {
        "function": f"{function.__module__}:{function.__qualname__}",
        "arguments": arguments,
        "memory_bytes": limits.memory_mb * 1024 * 1024,
        "seconds": limits.seconds,
    }
    with TemporaryFile() as complaints, _child(complaints) as process:
        _order(process, order)
        for line in _lines(process, source, limits):
            message = json.loads(line)
            if "told" not in message:
                _spent.seconds = child_seconds() + message["cpu_seconds"]
                return _result(message, source, limits)
            told(message["told"])
        if process.wait() > 0:
            raise EnvironmentFault(f"{source}: the process that reads it failed: {_last_words(complaints)}")
        raise MediaError(_how_it_ended(process.returncode, source, limits))


@contextmanager
def _child(complaints: IO[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """A child in a process group of its own, gone with that group afterwards.

    ``complaints`` is its stderr, until it falls silent before it opens media.
    """
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "faceswap_core.video.child"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=complaints,
        env=_environment(),
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        with suppress(BrokenPipeError):
            process.communicate()


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    paths = [str(_ROOT), *(os.path.abspath(path or ".") for path in sys.path)]
    return kept | _ONE_THREAD | {"PYTHONPATH": os.pathsep.join(paths)}


def _order(process: subprocess.Popen[bytes], order: Json) -> None:
    """Send the order; stdin stays open, as its end tells the child that the parent is gone."""
    assert process.stdin is not None
    with suppress(BrokenPipeError):
        process.stdin.write(json.dumps(order).encode() + b"\n")
        process.stdin.flush()


def _lines(process: subprocess.Popen[bytes], source: str | Path, limits: Limits) -> Iterator[bytes]:
    """What the child writes, line by line, until its end.

    Raises:
        MediaError: it was silent for too long, or never ends its line.
    """
    assert process.stdout is not None
    pending = bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while selector.select(limits.seconds * _PATIENCE):
            data = os.read(process.stdout.fileno(), 1 << 20)
            if not data:
                return
            pending += data
            if b"\n" in data:
                *lines, rest = pending.split(b"\n")
                pending = bytearray(rest)
                yield from map(bytes, lines)
            elif len(pending) > _LONGEST_MESSAGE:
                raise MediaError(f"{source}: describes more than {_LONGEST_MESSAGE} bytes of frames; cut it into parts")
    raise MediaError(
        f"{source}: no further frame within {limits.seconds * _PATIENCE:g} s of time, ten times decode.max_seconds "
        f"({limits.seconds:g}); the file is damaged or made to stall readers: copy or export it again, or raise "
        "decode.max_seconds if you trust it"
    )


def _result(message: Json, source: str | Path, limits: Limits) -> Any:
    if "result" in message:
        return message["result"]
    if "memory" in message:
        raise MediaError(
            f"{source}: reading it needs more memory than decode.max_memory_mb ({limits.memory_mb} MiB); the file is "
            "damaged or made to fill memory: copy or export it again, or raise decode.max_memory_mb if you trust it"
        )
    if "error" in message:
        raise _class_of(message["error"])(message["message"])
    raise MediaError(f"{source}: cannot be read ({message['fault']}); the file is damaged: copy or export it again")


def _class_of(name: str) -> type[FaceswapError]:
    found = getattr(errors, name, MediaError)
    return found if isinstance(found, type) and issubclass(found, FaceswapError) else MediaError


def _last_words(complaints: IO[bytes]) -> str:
    complaints.seek(0)
    lines = complaints.read().decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it says no more"


def _how_it_ended(returncode: int, source: str | Path, limits: Limits) -> str:
    """Words for a child that a signal ended."""
    if returncode == -signal.SIGXCPU:
        return (
            f"{source}: no further frame within decode.max_seconds ({limits.seconds:g} s of processor time); the file "
            "is damaged or made to stall readers: copy or export it again, or raise decode.max_seconds if you trust it"
        )
    if returncode == -signal.SIGKILL:
        return (
            f"{source}: its reader was killed, most likely as the machine had no memory left; close other programs, "
            f"or lower decode.max_memory_mb ({limits.memory_mb} MiB)"
        )
    name = signal.Signals(-returncode).name
    return f"{source}: its reader crashed ({name}); the file is damaged or hostile: copy or export it again"
