"""a worker process <-> its run: logs, progress and counts of each end up where those of threads do."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable

from prefect.context import TaskRunContext
from prefect.logging.handlers import PrefectConsoleHandler

from faceswap_core.types import Json
from tasks import progress, relay
from tasks.tally import Tally

_LOGGERS = ("faceswap_core", "tasks", "flows", "prefect.task_runs")
_SECONDS_BETWEEN_LOOKS = 1.0


def prepare(parent: int) -> None:
    """Begin a process of the pool: it ends with its parent, leaves Ctrl-C to it, and has the stages at hand."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), name="watch-parent", daemon=True).start()
    import tasks.convert
    import tasks.faceset  # noqa: F401


def dask_setup(worker: object) -> None:
    """Begin a worker of a cluster that the run itself started: Dask calls this by its name."""
    prepare(os.getppid())


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    os._exit(1)


def follow(line: relay.Line | None) -> None:
    """Work for the run at the other end of ``line``; nothing changes in the process of the run itself."""
    relay.follow(line, _tell_logs)


def _tell_logs() -> None:
    """Send what is logged here to the run, which shows and keeps it; Prefect's own way to the UI stays as it is."""
    for logger in (logging.getLogger(), *map(logging.getLogger, ("prefect", *_LOGGERS))):
        for handler in [h for h in logger.handlers if isinstance(h, PrefectConsoleHandler | _Telling)]:
            logger.removeHandler(handler)
    for logger in map(logging.getLogger, _LOGGERS):
        logger.addHandler(_Telling())
        if not logger.isEnabledFor(logging.INFO):
            logger.setLevel(logging.INFO)


class _Telling(logging.Handler):
    """Sends each record to the run."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)

    def emit(self, record: logging.LogRecord) -> None:
        """Send one record."""
        if record.name == relay.__name__:
            return  # it says that nothing can be sent
        message = record.getMessage()
        if record.exc_info:
            message += "\n" + logging.Formatter().formatException(record.exc_info)
        relay.tell({"log": [record.name, record.levelno, message, record.created, task_run_of(record)]})


def task_run_of(record: logging.LogRecord) -> str | None:
    """Name of the task run that logs a record at this moment; None outside one."""
    context = TaskRunContext.get()
    named: str | None = getattr(record, "task_run_name", None)
    return context.task_run.name if context and not named else named


def heard_by(tally: Tally) -> Callable[[Json], bool]:
    """What the process of a run does with the messages of its workers; gives whether a stop was asked for."""

    def heard(message: Json) -> bool:
        if "progress" in message:
            progress.update(*message["progress"])
        elif "asked" in message:
            tally.ask(*message["asked"])
        elif "ran" in message:
            tally.count(*message["ran"])
        elif "log" in message:
            _log_again(*message["log"])
        return progress.stop_requested()

    return heard


def _log_again(name: str, level: int, message: str, created: float, task_run_name: str | None) -> None:
    """Log a worker's record here, except to the server, which has it from the worker."""
    facts = {"name": name, "levelno": level, "levelname": logging.getLevelName(level), "msg": message}
    more = {"created": created, "task_run_name": task_run_name, "send_to_api": False}
    logging.getLogger(name).handle(logging.makeLogRecord(facts | more))
