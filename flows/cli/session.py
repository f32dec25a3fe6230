"""a command's work -> its exit code: the server around it, signals, errors and last words."""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import shlex
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import typer

from faceswap_core.errors import EnvironmentFault, FaceswapError
from faceswap_core.types import Json
from flows.cli.output import Output, pick_output

INTERRUPTED = 130


def conduct(work: Callable[[], Json], *, as_json: bool, debug: bool, output: Output | None = None) -> int:
    """Do work that needs a server, show its progress, and give the exit code; the same command goes on from there.

    Args:
        work: what to do; its result becomes the ``done`` line.
        as_json: print JSON lines even on a TTY.
        debug: show tracebacks of our own errors too.
        output: where events go; by default as `pick_output` has it.
    """
    began = time.monotonic()
    output = output or pick_output(as_json=as_json)
    code = 0
    try:
        with _stopping_gently():
            _serve(work, output, debug)
    except FaceswapError as error:
        code = _failed(output, error, debug)
    except KeyboardInterrupt:
        code = INTERRUPTED
    if code == INTERRUPTED:
        print(f"stopped; go on with: {shlex.join(['faceswap', *sys.argv[1:]])}", file=sys.stderr, flush=True)
    result = _result()
    if result and code != INTERRUPTED:
        output.done({**result, "seconds": round(time.monotonic() - began, 3)})
    return code


@contextmanager
def refusing(*, as_json: bool, debug: bool = False) -> Iterator[None]:
    """Report an error of ours that is met inside, and end with its exit code."""
    try:
        yield
    except FaceswapError as error:
        raise typer.Exit(_failed(pick_output(as_json=as_json), error, debug)) from error


def _failed(output: Output, error: FaceswapError, debug: bool) -> int:
    if debug:
        traceback.print_exception(error, file=sys.stderr)
    output.error(error)
    return error.exit_code


def _serve(work: Callable[[], Json], output: Output, debug: bool) -> None:
    from flows.server import prefect_server

    with prefect_server(quiet=sys.stdout.isatty(), meanwhile=_import_flows), _drained():
        from tasks import progress

        if not debug:
            _keep_our_tracebacks_quiet()
        progress.reset()
        with output.live(), progress.listening(output.stage), _server_faults_as_ours():
            work()


@contextmanager
def _server_faults_as_ours() -> Iterator[None]:
    """Say in our words that the server is gone.

    Raises:
        EnvironmentFault: it does not answer any more.
    """
    import httpx

    try:
        yield
    except httpx.TransportError as error:
        raise EnvironmentFault(
            f"the Prefect server does not answer any more ({type(error).__name__}): finished work is kept; run the "
            "same command again"
        ) from error


def _import_flows() -> None:
    importlib.import_module("flows.pipeline")


def _keep_our_tracebacks_quiet() -> None:
    """Leave errors of ours, which are reported in one line at the end, out of Prefect's lines on the terminal."""
    from prefect.logging.configuration import setup_logging
    from prefect.logging.handlers import PrefectConsoleHandler

    setup_logging()
    for handler in logging.getLogger().handlers:
        if isinstance(handler, PrefectConsoleHandler):
            handler.addFilter(_is_no_error_of_ours)


def _is_no_error_of_ours(record: logging.LogRecord) -> bool:
    return not (record.exc_info and isinstance(record.exc_info[1], FaceswapError))


@contextmanager
def _drained() -> Iterator[None]:
    """Send what Prefect still holds back before its server ends."""
    try:
        yield
    finally:
        if "prefect" in sys.modules:
            from prefect.events.worker import EventsWorker
            from prefect.logging.handlers import APILogWorker

            with contextlib.suppress(RuntimeError, TimeoutError):
                APILogWorker.drain_all(timeout=10)
                EventsWorker.drain_all(timeout=10)


@contextmanager
def _stopping_gently() -> Iterator[None]:
    """First SIGINT: running chunks finish. Second: end at once; the server notices by itself."""
    asked = False

    def stop(_signal: int, _frame: FrameType | None) -> None:
        nonlocal asked
        if asked or "tasks.progress" not in sys.modules:
            os._exit(INTERRUPTED)
        asked = True
        sys.modules["tasks.progress"].request_stop()
        print("stopping after the running chunks; press Ctrl-C again to stop at once", file=sys.stderr, flush=True)

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _result() -> Json | None:
    if "tasks.progress" not in sys.modules:
        return None
    found: Json | None = sys.modules["tasks.progress"].last_result()
    return found
