"""submitted task runs -> their results, in order; the first failure is raised once all have ended."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor
from typing import TypeVar

from prefect.futures import PrefectFuture

from faceswap_core.errors import ResourceError

R = TypeVar("R")


def gather(futures: Sequence[PrefectFuture[R]], told: Callable[[int, R], None] | None = None) -> list[R]:
    """Wait for all, so that no chunk's work is lost to the failure of another; then give results or raise.

    Args:
        futures: task runs, in the order wanted.
        told: called with the position and result of each that succeeded.

    Raises:
        Exception: the error of the first task run that failed, as it was raised there.
        ResourceError: a process of the pool was killed, which ends the pool.
    """
    try:
        return _gathered(futures, told)
    except BrokenExecutor as error:
        raise ResourceError(
            f"a worker process ended in the middle of its work ({error}): it was killed, perhaps for want of memory; "
            "finished chunks are kept: run the same command again, with fewer runtime.workers if memory is short"
        ) from error


def _gathered(futures: Sequence[PrefectFuture[R]], told: Callable[[int, R], None] | None) -> list[R]:
    results = []
    failed = []
    for position, future in enumerate(futures):
        future.wait()
        if future.state.is_completed():
            results.append(future.result())
            if told:
                told(position, results[-1])
        else:
            failed.append(future)
    for future in sorted(failed, key=lambda f: not f.state.is_failed()):  # its own failure before one upstream
        future.result(raise_on_failure=True)
    return results
