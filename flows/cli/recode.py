"""`faceswap recode`: a video through the video stages alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.cli.options import AsJson, Debug, Overrides, place
from flows.cli.session import conduct, refusing

if TYPE_CHECKING:
    from faceswap_core.types import Json


def recode(
    video: Annotated[Path, typer.Argument(metavar="IN", help="Video to read.", show_default=False)],
    output: Annotated[Path, typer.Argument(metavar="OUT", help="Video to write.", show_default=False)],
    workspace: Annotated[
        Any,
        typer.Option(
            parser=place, metavar="PLACE", help="For what is made on the way; by default OUT.work.", show_default=False
        ),
    ] = None,
    override: Overrides = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Decode, encode, assemble and verify a video, and change nothing in it."""
    with refusing(as_json=as_json, debug=debug):
        from faceswap_core.jobfile import recode_settings
        from flows.preflight import check_recode

        settings = recode_settings(video, output, workspace, override or [])
        check_recode(settings)

    def work() -> Json:
        from flows.recode import recode_video

        return recode_video(settings)

    raise typer.Exit(conduct(work, as_json=as_json, debug=debug))
