"""progress and summaries -> artifacts in the flow UI."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast
from uuid import UUID

from prefect.artifacts import create_markdown_artifact, create_progress_artifact, update_progress_artifact
from prefect.context import TaskRunContext

from faceswap_core.types import Progress

_SECONDS_BETWEEN_UPDATES = 5.0


@contextmanager
def progress_artifact(key: str, tell: Progress) -> Iterator[Progress]:
    """Give a progress callback that also shows in the flow UI, every few seconds; outside a run just ``tell``."""
    if TaskRunContext.get() is None:
        yield tell
        return
    bar = cast(UUID, create_progress_artifact(0.0, key=key, description="training"))  # a coroutine only in async code
    last = time.monotonic()

    def progress(done: int, total: int, note: str) -> None:
        nonlocal last
        if time.monotonic() - last >= _SECONDS_BETWEEN_UPDATES or done >= total:
            last = time.monotonic()
            update_progress_artifact(bar, 100.0 * done / max(total, 1), f"{done} of {total} steps, {note}")
        tell(done, total, note)

    yield progress


def summary_artifact(markdown: str) -> None:
    """Show a run's summary in the flow UI."""
    create_markdown_artifact(markdown, key="swap-report", description="what the run made")
