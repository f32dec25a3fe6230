"""task runs -> counts and times: what one run computed, and what it found finished."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from faceswap_core.types import Json
from faceswap_core.video.sandbox import child_seconds
from tasks import relay


@dataclass
class StageTally:
    """What became of one stage."""

    asked: set[str] = field(default_factory=set)
    """Ids of the task runs that were asked for."""
    ran: set[str] = field(default_factory=set)
    """Ids of those whose body ran, because nothing was stored."""
    seconds: float = 0.0
    """Wall time of all bodies; bodies that ran at once all count."""
    cpu_seconds: float = 0.0
    """CPU time; see `Tally.measured`."""


class Tally:
    """Counts and times of one run, by stage."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._lock = threading.Lock()
        self._stages: dict[str, StageTally] = {}

    def ask(self, stage: str, task_run: str) -> None:
        """Count a task run whose stored result is looked for."""
        with self._lock:
            self._stages.setdefault(stage, StageTally()).asked.add(task_run)

    @contextmanager
    def measured(self, stage: str, task_run: str, *, pooled: bool) -> Iterator[None]:
        """Time one body.

        CPU time of a pooled stage is that of its own thread (its tools are capped to one). A stage called directly
        uses torch's threads, so the whole process is counted, with what other chunks used meanwhile. Both ways
        children that read media count, too.
        """

        def clock() -> float:
            return (time.thread_time() if pooled else time.process_time()) + child_seconds()

        began, cpu_began = time.perf_counter(), clock()
        try:
            yield
        finally:
            self.count(stage, task_run, time.perf_counter() - began, clock() - cpu_began)

    def count(self, stage: str, task_run: str, seconds: float, cpu_seconds: float) -> None:
        """Count a body that ran."""
        with self._lock:
            stage_tally = self._stages.setdefault(stage, StageTally())
            stage_tally.ran.add(task_run)
            stage_tally.seconds += seconds
            stage_tally.cpu_seconds += cpu_seconds

    def report(self) -> Json:
        """The ``stages`` part of report.json: computed, cached, seconds, cpu_seconds of each stage."""
        with self._lock:
            return {
                name: {
                    "computed": len(stage.ran),
                    "cached": len(stage.asked - stage.ran),
                    "seconds": round(stage.seconds, 3),
                    "cpu_seconds": round(stage.cpu_seconds, 3),
                }
                for name, stage in self._stages.items()
            }


class _FarTally(Tally):
    """In a worker of another process: what it counts is added to the tally of the run."""

    def ask(self, stage: str, task_run: str) -> None:
        relay.tell({"asked": [stage, task_run]})

    def count(self, stage: str, task_run: str, seconds: float, cpu_seconds: float) -> None:
        relay.tell({"ran": [stage, task_run, seconds, cpu_seconds]})


_current: ContextVar[Tally | None] = ContextVar("tally", default=None)


def current() -> Tally:
    """The tally of this run; Prefect carries it into the threads of the pool. A throw-away one outside a run."""
    return _current.get() or (_FarTally() if relay.is_worker() else Tally())


@contextmanager
def counting(tally: Tally) -> Iterator[Tally]:
    """Let every task called inside count in ``tally``."""
    token = _current.set(tally)
    try:
        yield tally
    finally:
        _current.reset(token)
