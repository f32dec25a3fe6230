"""parent's process id, arguments -> the `prefect` command, which ends when its parent does (run by flows.service)."""

from __future__ import annotations

import json
import os
import runpy
import sys
from functools import cache

from flows.server_child import end_when, end_with

SERVICE = "FACESWAP_SERVICE"
"""Environment variable of a worker and its runs: which process is the `faceswap up` that they belong to."""


@cache
def end_with_service() -> None:
    """End this process once its `faceswap up` is gone: without the server nobody would hear of this run any more."""
    service = os.environ.get(SERVICE)
    if service:
        from flows.history import is_alive

        end_when(lambda: not is_alive(json.loads(service)))


def main(parent: int, arguments: list[str]) -> None:
    """Run Prefect's own command line in this process."""
    end_with(parent)
    sys.argv = ["prefect", *arguments]
    runpy.run_module("prefect", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
