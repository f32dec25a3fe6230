"""host, port, process id of the parent -> a Prefect server that ends when its parent does (run by flows.server)."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable

_SECONDS_BETWEEN_LOOKS = 1.0
_SECONDS_TO_END = 5.0


def end_with(parent: int) -> None:
    """End this process once its parent is gone, killed or not."""
    end_when(lambda: os.getppid() != parent)


def end_when(gone: Callable[[], bool]) -> None:
    """End this process once something is gone that it cannot do without."""

    def watch() -> None:
        while not gone():
            time.sleep(_SECONDS_BETWEEN_LOOKS)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(_SECONDS_TO_END)
        os._exit(0)

    threading.Thread(target=watch, name="end-when-gone", daemon=True).start()


def main(host: str, port: int, parent: int) -> None:
    """Serve until told to end."""
    import uvicorn

    end_with(parent)
    uvicorn.run(
        "prefect.server.api.server:create_app",
        factory=True,
        host=host,
        port=port,
        log_level="error",
        lifespan="on",
    )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
