"""events of a run -> the terminal: progress bars on a TTY, one JSON object a line elsewhere."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Protocol

from faceswap_core.errors import FaceswapError

if TYPE_CHECKING:
    from faceswap_core.types import Json
    from tasks.progress import StageEvent

_SECONDS_BETWEEN_LINES = 1.0
_LAST_LINE = ("run", "computed", "cached", "seconds")


class Output(Protocol):
    """Where a command's events go."""

    def stage(self, event: StageEvent) -> None:
        """Show how far a stage has come."""

    def error(self, error: FaceswapError) -> None:
        """Say what went wrong."""

    def done(self, result: Json) -> None:
        """Say what was made; the last words of a command."""

    def live(self) -> AbstractContextManager[None]:
        """Show progress while the block runs."""


def pick_output(*, as_json: bool) -> Output:
    """Bars for people at a terminal, lines for everything else."""
    return Bars() if sys.stdout.isatty() and not as_json else Lines()


class Lines:
    """One JSON object a line on stdout."""

    def __init__(self) -> None:
        """Begin with no stage heard of."""
        self._told: dict[str, float] = {}
        self._lock = threading.Lock()

    def stage(self, event: StageEvent) -> None:
        """Print at most one line a second and stage, and its last."""
        from tasks.progress import as_json

        now = time.monotonic()
        ended = 0 < event.total <= event.done
        if ended or now - self._told.get(event.stage, 0.0) >= _SECONDS_BETWEEN_LINES:
            self._told[event.stage] = now
            self._print(as_json(event))

    def error(self, error: FaceswapError) -> None:
        """Print the error on both streams."""
        print(f"error: {error}", file=sys.stderr, flush=True)
        self._print(
            {"event": "error", "exit_code": error.exit_code, "error": type(error).__name__, "message": str(error)}
        )

    def done(self, result: Json) -> None:
        """Print the last line."""
        self._print({"event": "done", **result})

    @contextmanager
    def live(self) -> Iterator[None]:
        """Nothing is shown but the lines."""
        yield

    def _print(self, line: Json) -> None:
        with self._lock:  # tasks tell from several threads
            print(json.dumps(line), flush=True)


class OneLine(Lines):
    """One JSON object on stdout, when all is done or failed."""

    def stage(self, event: StageEvent) -> None:
        """Say nothing."""


class Bars:
    """A rich progress bar per stage on stderr, and a few last words."""

    def __init__(self) -> None:
        """Build the bars; none is shown yet."""
        from rich import progress
        from rich.console import Console

        self._console = Console(stderr=True)
        self._progress = progress.Progress(
            progress.TextColumn("{task.description:<16}"),
            progress.BarColumn(),
            progress.TextColumn("{task.completed:>6.0f}/{task.total:<6.0f} {task.fields[note]}"),
            progress.TextColumn("{task.fields[rate]}"),
            progress.TimeElapsedColumn(),
            progress.TimeRemainingColumn(),
            console=self._console,
        )
        self._ids: dict[str, progress.TaskID] = {}

    def stage(self, event: StageEvent) -> None:
        """Move the bar of a stage."""
        if event.stage not in self._ids:
            self._ids[event.stage] = self._progress.add_task(event.stage, total=event.total, note="", rate="")
        number = self._ids[event.stage]
        speed = self._progress.tasks[number].speed
        rate = f"{speed:.0f}/s" if speed else ""
        self._progress.update(number, completed=event.done, total=event.total, note=event.note, rate=rate)

    def error(self, error: FaceswapError) -> None:
        """Print the error."""
        self._console.print(f"error: {error}", style="bold red", markup=False, highlight=False)

    def done(self, result: Json) -> None:
        """Name what was made, and the figures of a command that made nothing else."""
        named = {name: value for name, value in result.items() if name not in _LAST_LINE and value not in (None, "")}
        named = {name: value for name, value in named.items() if not isinstance(value, dict)}
        width = max(map(len, named)) + 2
        self._console.print(
            "".join(f"{name:<{width}}{value}\n" for name, value in named.items())
            + f"{result['computed']} computed, {result['cached']} cached, {result['seconds']:.1f} s",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )

    @contextmanager
    def live(self) -> Iterator[None]:
        """Show the bars."""
        with self._progress:
            yield
