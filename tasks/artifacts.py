"""progress, summaries and contact sheets -> artifacts in the flow UI."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar, cast
from uuid import UUID

import httpx
from prefect.artifacts import (
    create_image_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    update_progress_artifact,
)
from prefect.context import TaskRunContext
from prefect.exceptions import PrefectException

from faceswap_core.types import Progress

T = TypeVar("T")
_log = logging.getLogger(__name__)
_SECONDS_BETWEEN_UPDATES = 5.0


@contextmanager
def progress_artifact(key: str, tell: Progress) -> Iterator[Progress]:
    """Give a progress callback that also shows in the flow UI, every few seconds; outside a run just ``tell``."""
    if TaskRunContext.get() is None:
        yield tell
        return
    bar = _told(lambda: cast(UUID, create_progress_artifact(0.0, key=key, description="training")))
    last = time.monotonic()

    def progress(done: int, total: int, note: str) -> None:
        nonlocal last
        if time.monotonic() - last >= _SECONDS_BETWEEN_UPDATES or done >= total:
            last = time.monotonic()
            if bar is not None:
                share = 100.0 * done / max(total, 1)
                _told(lambda: update_progress_artifact(bar, share, f"{done} of {total} steps, {note}"))
        tell(done, total, note)

    yield progress


def summary_artifact(markdown: str) -> None:
    """Show a run's summary in the flow UI."""
    _told(lambda: create_markdown_artifact(markdown, key="swap-report", description="what the run made"))


def sheet_artifact(picture_uri: str, description: str) -> None:
    """Show a contact sheet of tracks among a run's artifacts.

    It has no key: of what has one, Prefect writes a copy into its record of events, which nothing can delete.
    """
    _told(lambda: create_image_artifact(picture_uri, description=description))


def _told(tell: Callable[[], T]) -> T | None:
    """What the call gives; None where the server did not take it, since no work may be lost for a picture of it."""
    try:
        return tell()
    except (PrefectException, httpx.HTTPError) as error:
        _log.warning("the flow UI was not told: %s", error)
        return None
