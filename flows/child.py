"""parent's process id, arguments -> the `prefect` command, which ends when its parent does (run by flows.service)."""

from __future__ import annotations

import runpy
import sys

from flows.server_child import end_with


def main(parent: int, arguments: list[str]) -> None:
    """Run Prefect's own command line in this process."""
    end_with(parent)
    sys.argv = ["prefect", *arguments]
    runpy.run_module("prefect", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
