"""`faceswap export`: finished weights of a job -> an ONNX file, checked against the network."""

from __future__ import annotations

import json as json_text
from pathlib import Path
from typing import Annotated

import typer

from faceswap_core.errors import FaceswapError
from flows.cli.session import refused


def export(
    job: Annotated[Path, typer.Argument(help="Job file: its people, records and direction.", show_default=False)],
    output: Annotated[Path, typer.Argument(help="ONNX file to write.", show_default=False)],
    checkpoint: Annotated[
        Path | None,
        typer.Option(help="Checkpoint folder or weights file; by default the job's own.", show_default=False),
    ] = None,
    override: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a setting.")] = None,
    allow_test_consent: Annotated[bool, typer.Option(help="Admit records of kind test.")] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON object per line on stdout.")] = False,
    debug: Annotated[bool, typer.Option(help="Show tracebacks.")] = False,
) -> None:
    """Write a trained network as ONNX: views in the common colours in, the swap and the redrawn views out."""
    try:
        from faceswap_core.jobfile import load_job
        from faceswap_core.stages.export_network import export_network

        made = export_network(
            load_job(job, override or []),
            output.expanduser(),
            checkpoint.expanduser() if checkpoint else None,
            allow_test=allow_test_consent,
        )
    except FaceswapError as error:
        raise typer.Exit(refused(error, as_json=json, debug=debug)) from error
    print(
        json_text.dumps({"event": "done", **made}) if json else f"{made['output']}  differs by {made['difference']:.1e}"
    )
