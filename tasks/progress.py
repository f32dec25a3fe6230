"""callbacks of stages -> events for whoever listens: a progress bar, JSON lines, the flow UI."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeAlias

from faceswap_core.errors import FaceswapError
from faceswap_core.types import Json, Progress
from tasks import relay

_SECONDS_BETWEEN_EVENTS = 0.2


class StopRequestedError(FaceswapError):
    """The user asked for a stop; finished work is kept."""

    exit_code = 130


@dataclass(frozen=True)
class StageEvent:
    """How far a stage of the whole job has come."""

    stage: str
    """Name of the stage."""
    done: int
    """Frames, faces or iterations done, of all chunks."""
    total: int
    """Number of all; grows while further videos are planned."""
    note: str
    """What is counted, or a loss."""


Listener: TypeAlias = Callable[[StageEvent], None]


@dataclass
class _Stage:
    expected: int = 0
    parts: dict[str, tuple[int, int]] = field(default_factory=dict)
    told: float = 0.0


class _Board:
    """Progress of every stage in this process."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.listeners: list[Listener] = []
        self.stages: dict[str, _Stage] = {}
        self.stop = threading.Event()
        self.result: Json | None = None

    def update(self, stage: str, part: str, done: int, total: int, note: str) -> None:
        with self.lock:
            board = self.stages.setdefault(stage, _Stage())
            board.parts[part] = (done, total)
            event = self._event(stage, board, note)
            now = time.monotonic()
            if now - board.told < _SECONDS_BETWEEN_EVENTS and event.done < event.total:
                return
            board.told = now
        self._tell(event)

    def expect(self, stage: str, units: int, note: str) -> None:
        with self.lock:
            board = self.stages.setdefault(stage, _Stage())
            board.expected += units
            event = self._event(stage, board, note)
        self._tell(event)

    def _event(self, name: str, stage: _Stage, note: str) -> StageEvent:
        done = sum(done for done, _ in stage.parts.values())
        return StageEvent(name, done, max(stage.expected, sum(total for _, total in stage.parts.values())), note)

    def _tell(self, event: StageEvent) -> None:
        for listener in list(self.listeners):
            listener(event)


class _FarBoard:
    """In a worker of another process: what it tells reaches the board of the run."""

    def __init__(self) -> None:
        self.told: dict[tuple[str, str], float] = {}

    def update(self, stage: str, part: str, done: int, total: int, note: str) -> None:
        now = time.monotonic()
        if done < total and now - self.told.get((stage, part), 0.0) < _SECONDS_BETWEEN_EVENTS:
            return
        self.told[stage, part] = now
        relay.tell({"progress": [stage, part, done, total, note]})


_board = _Board()
_far_board = _FarBoard()


def update(stage: str, part: str, done: int, total: int, note: str) -> None:
    """Say how far one part of a stage has come."""
    (_far_board if relay.is_worker() else _board).update(stage, part, done, total, note)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Send every event of this process to ``listener``, at most five a second and stage; it must return at once."""
    _board.listeners.append(listener)
    try:
        yield
    finally:
        _board.listeners.remove(listener)


def reset() -> None:
    """Begin a new run: no stage has been heard of, no stop asked for."""
    _board.stages.clear()
    _board.stop.clear()
    _board.result = None


def publish_result(result: Json) -> None:
    """Leave the result of a run for whoever started it, who needs it even where the run then fails."""
    _board.result = result


def last_result() -> Json | None:
    """Result of the run that ended last in this process, if its video was written."""
    return _board.result


def expect(stage: str, units: int, note: str = "frames") -> None:
    """Announce work: so many more units of a stage are to come."""
    _board.expect(stage, units, note)


def finished(stage: str, part: str, units: int, note: str = "frames") -> None:
    """Count one part as done, computed or found finished."""
    update(stage, part, units, units, note)


def of(stage: str, part: str) -> Progress:
    """Progress callback of one task run.

    Raises:
        StopRequestedError: at once, when a stop was asked for.
    """
    refuse_after_stop()
    return lambda done, total, note: update(stage, part, done, total, note)


def of_whole(stage: str) -> Progress:
    """Progress callback of work that has one part and keeps nothing when it is cut short: a stop ends it at once."""
    tell = of(stage, "")

    def progress(done: int, total: int, note: str) -> None:
        refuse_after_stop()
        tell(done, total, note)

    return progress


def of_training(stage: str, part: str, checkpoint_every: int) -> Progress:
    """Progress callback that also ends the training, soon after a checkpoint, when a stop was asked for."""
    tell = of(stage, part)

    def progress(done: int, total: int, note: str) -> None:
        tell(done, total, note)
        if 0 < done % checkpoint_every <= 100 or checkpoint_every <= 100:
            refuse_after_stop()

    return progress


def request_stop() -> None:
    """Let no further task begin; running chunks finish."""
    _board.stop.set()


def stop_requested() -> bool:
    """Whether the user asked this process for a stop."""
    return _board.stop.is_set()


def refuse_after_stop() -> None:
    """Do nothing, or raise when a stop was asked for.

    Raises:
        StopRequestedError: a stop was asked for.
    """
    if relay.tell({}) if relay.is_worker() else stop_requested():
        raise StopRequestedError("stopped as asked: finished chunks and checkpoints are kept")


def as_json(event: StageEvent) -> Json:
    """The event as it stands on one line of ``--json`` output."""
    return {"event": "stage", "stage": event.stage, "done": event.done, "total": event.total, "note": event.note}
