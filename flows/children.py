"""module and arguments -> a child process in a session of its own, where Ctrl-C does not reach it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

_SECONDS_BETWEEN_STARTS = 5.0


class Child:
    """A process that runs as long as this one wants it to."""

    def __init__(self, module: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        """Start it.

        Args:
            module: name and arguments.
            environment: beside that of this process.
            log: file for what it prints.
        """
        self.module, self.environment, self.log = module, environment, log
        log.unlink(missing_ok=True)
        self.start()

    def start(self) -> None:
        """Start it, or start it again."""
        self._began = time.monotonic()
        with open(self.log, "ab") as lines:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", *self.module],
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=lines,
                stderr=lines,
                start_new_session=True,
            )

    def has_ended(self) -> bool:
        """Whether it is gone, by itself or killed."""
        return self._process.poll() is not None

    def revive(self) -> None:
        """Start it again, and say so, if it has died."""
        if self.has_ended() and time.monotonic() - self._began > _SECONDS_BETWEEN_STARTS:
            code = self._process.returncode
            print(
                f"{self.module[0]} ended with {code} (see {self.log}): starting it again", file=sys.stderr, flush=True
            )
            self.start()

    def stop(self, seconds: float = 5.0) -> None:
        """Ask it to end, and end it after some seconds."""
        self._process.terminate()
        try:
            self._process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
