"""`faceswap export`: finished weights of a job -> an ONNX file, checked against the network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from flows.cli.options import AllowTest, AsJson, Debug, Overrides
from flows.cli.session import refusing


def export(
    job: Annotated[Path, typer.Argument(help="Job file: its people, records and direction.", show_default=False)],
    output: Annotated[Path, typer.Argument(help="ONNX file to write.", show_default=False)],
    checkpoint: Annotated[
        Path | None,
        typer.Option(help="Checkpoint folder or weights file; by default the job's own.", show_default=False),
    ] = None,
    override: Overrides = None,
    allow_test_consent: AllowTest = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Write a trained network as ONNX: views in the common colours in, the swap and the redrawn views out."""
    with refusing(as_json=as_json, debug=debug):
        from faceswap_core.jobfile import load_job
        from faceswap_core.stages.export_network import export_network

        made = export_network(
            load_job(job, override or []),
            output.expanduser(),
            checkpoint.expanduser() if checkpoint else None,
            allow_test=allow_test_consent,
        )
    print(
        json.dumps({"event": "done", **made}) if as_json else f"{made['output']}  differs by {made['difference']:.1e}"
    )
