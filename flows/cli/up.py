"""`faceswap up`: server, UI, work pool, deployments and a worker on this machine."""

from __future__ import annotations

import json
import signal
import sys
import threading
from typing import Annotated

import typer

from flows.cli.options import AsJson, Debug
from flows.cli.session import INTERRUPTED, refusing


def up(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the API and the UI.")] = 4200,
    host: Annotated[str, typer.Option(help="Address to listen on; others than loopback need an auth string.")] = (
        "127.0.0.1"
    ),
    limit: Annotated[int, typer.Option(min=1, max=64, help="Runs worked on at once.")] = 2,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Start everything that scheduled jobs need, and stop it again on Ctrl-C."""
    from flows.service import service, wait

    stopped = threading.Event()
    with refusing(as_json=as_json, debug=debug):
        try:
            with service(host, port, limit) as (address, children):
                _say(address, as_json)
                wait(stopped, (signal.SIGINT, signal.SIGTERM), children)
                print("stopping", file=sys.stderr, flush=True)
        except KeyboardInterrupt as error:
            raise typer.Exit(INTERRUPTED) from error


def _say(address: str, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"event": "up", "ui": address, "api_url": f"{address}/api"}), flush=True)
    else:
        print(f"the flow UI is at {address}; Ctrl-C stops it", flush=True)
