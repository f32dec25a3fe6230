"""`faceswap preview`: one frame of a job's plate, before and after, as a PNG."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from faceswap_core.errors import FaceswapError
from flows.cli.output import OneLine, pick_output
from flows.cli.run import same_command
from flows.cli.session import conduct, refused

if TYPE_CHECKING:
    from faceswap_core.types import Json


def preview(
    job: Annotated[Path, typer.Argument(help="Job file (TOML).", show_default=False)],
    frame: Annotated[int, typer.Option(min=0, help="Number of the frame, from 0.", show_default=False)],
    overlay: Annotated[str, typer.Option(help="What to draw over it: boxes,landmarks,mask.", show_default=False)] = "",
    override: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a setting, such as blend.feather=0.2."),
    ] = None,
    allow_test_consent: Annotated[bool, typer.Option(help="Admit consent records of kind test.")] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
    debug: Annotated[bool, typer.Option(help="Show tracebacks.")] = False,
) -> None:
    """Show one frame before and after, by the weights of the training that ended last; nothing is encoded."""
    try:
        from faceswap_core.jobfile import load_job
        from faceswap_core.stages.preview import parse_overlays

        settings, overlays = load_job(job, override or []), parse_overlays(overlay)
    except FaceswapError as error:
        raise typer.Exit(refused(error, as_json=json, debug=debug)) from error

    def work() -> Json:
        from flows.preview import preview_frame

        return preview_frame(settings, frame, overlays, allow_test_consent)

    output = OneLine() if json or not sys.stdout.isatty() else pick_output(as_json=False)
    raise typer.Exit(conduct(work, as_json=json, debug=debug, resume=same_command, output=output))
