"""progress, summaries and pictures -> artifacts in the flow UI."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from functools import partial
from typing import TypeVar, cast
from uuid import UUID

import httpx
from prefect.artifacts import (
    create_image_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    update_progress_artifact,
)
from prefect.exceptions import PrefectException

from tasks.progress import StageEvent, listening

T = TypeVar("T")
_log = logging.getLogger(__name__)
_SECONDS_BETWEEN_UPDATES = 5.0
_SECONDS_TO_END = 30.0


class _Bars:
    """One progress artifact a stage; a thread of its own tells the server, as listeners must return at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._news: dict[str, StageEvent] = {}
        self._ids: dict[str, UUID | None] = {}
        self._ended = threading.Event()

    def hear(self, event: StageEvent) -> None:
        """Remember the latest of each stage."""
        with self._lock:
            self._news[event.stage] = event

    def end(self) -> None:
        """Let the thread tell the last news and end."""
        self._ended.set()

    def tell_until_ended(self) -> None:
        """Tell what is new, every few seconds."""
        while not self._ended.wait(_SECONDS_BETWEEN_UPDATES):
            self._tell()
        self._tell()

    def _tell(self) -> None:
        with self._lock:
            news, self._news = self._news, {}
        for stage, event in news.items():
            share = min(100.0 * event.done / max(event.total, 1), 100.0)
            words = f"{stage}: {event.done} of {event.total} {event.note}"
            if stage not in self._ids:
                make = partial(create_progress_artifact, share, key=artifact_key(stage), description=words)
                self._ids[stage] = cast(UUID | None, _told(make))
            elif bar := self._ids[stage]:
                _told(partial(update_progress_artifact, bar, share, words))


@contextmanager
def stage_bars() -> Iterator[None]:
    """Show how far each stage has come among the artifacts of the running flow run."""
    bars = _Bars()
    context = copy_context()
    teller = threading.Thread(target=context.run, args=(bars.tell_until_ended,), name="progress-artifacts", daemon=True)
    teller.start()
    try:
        with listening(bars.hear):
            yield
    finally:
        bars.end()
        teller.join(_SECONDS_TO_END)


def summary_artifact(markdown: str) -> None:
    """Show a run's summary in the flow UI."""
    _told(lambda: create_markdown_artifact(markdown, key="swap-report", description="what the run made"))


def picture_artifact(picture_uri: str, description: str) -> None:
    """Show a picture among a run's artifacts.

    It has no key: of what has one, Prefect writes a copy into its record of events, which nothing can delete.
    """
    _told(lambda: create_image_artifact(picture_uri, description=description))


def artifact_key(name: str) -> str:
    """Lower-case letters, digits and dashes, as the flow UI wants them."""
    return re.sub("[^a-z0-9]+", "-", name.lower()).strip("-") or "x"


def _told(tell: Callable[[], T]) -> T | None:
    """What the call gives; None where the server did not take it, since no work may be lost for a picture of it."""
    try:
        return tell()
    except (PrefectException, httpx.HTTPError) as error:
        _log.warning("the flow UI was not told: %s", error)
        return None
