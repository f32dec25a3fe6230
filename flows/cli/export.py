"""`faceswap export`: finished weights -> an ONNX file, checked against the network."""

from __future__ import annotations

import json as json_text
from pathlib import Path
from typing import Annotated

import typer

from faceswap_core.errors import FaceswapError
from flows.cli.session import refused


def export(
    checkpoint: Annotated[Path, typer.Argument(help="Checkpoint folder or weights file.", show_default=False)],
    output: Annotated[Path, typer.Argument(help="ONNX file to write.", show_default=False)],
    source: Annotated[str, typer.Option("--from", help="Subject of the plate; by default the first.")] = "",
    json: Annotated[bool, typer.Option("--json", help="One JSON object per line on stdout.")] = False,
    debug: Annotated[bool, typer.Option(help="Show tracebacks.")] = False,
) -> None:
    """Write a trained network as ONNX: views in the common colours in, the swap and the redrawn views out."""
    try:
        from faceswap_core.stages.export_network import export_network

        made = export_network(checkpoint.expanduser(), output.expanduser(), source)
    except FaceswapError as error:
        raise typer.Exit(refused(error, as_json=json, debug=debug)) from error
    print(
        json_text.dumps({"event": "done", **made}) if json else f"{made['output']}  differs by {made['difference']:.1e}"
    )
