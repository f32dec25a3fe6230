"""`faceswap preview`: one frame of a job's plate, before and after, as a PNG."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.options import AllowTest, AsJson, Debug, JobFile, Overrides
from flows.cli.output import OneLine, pick_output
from flows.cli.session import conduct, refusing

if TYPE_CHECKING:
    from faceswap_core.types import Json


def preview(
    job: JobFile,
    frame: Annotated[int, typer.Option(min=0, help="Number of the frame, from 0.", show_default=False)],
    overlay: Annotated[str, typer.Option(help="What to draw over it: boxes,landmarks,mask.", show_default=False)] = "",
    override: Overrides = None,
    allow_test_consent: AllowTest = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Show one frame before and after, by the weights of the training that ended last; nothing is encoded."""
    with refusing(as_json=as_json, debug=debug):
        from faceswap_core.jobfile import load_job
        from faceswap_core.stages.preview import parse_overlays

        settings, overlays = load_job(job, override or []), parse_overlays(overlay)

    def work() -> Json:
        from flows.preview import preview_frame

        return preview_frame(settings, frame, overlays, allow_test_consent)

    output = OneLine() if as_json or not sys.stdout.isatty() else pick_output(as_json=False)
    raise typer.Exit(conduct(work, as_json=as_json, debug=debug, output=output))
