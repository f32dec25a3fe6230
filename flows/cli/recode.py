"""`faceswap recode`: a video through the video stages alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from faceswap_core.errors import FaceswapError
from flows.cli.run import same_command
from flows.cli.session import conduct, refused

if TYPE_CHECKING:
    from faceswap_core.types import Json


def recode(
    video: Annotated[Path, typer.Argument(metavar="IN", help="Video to read.", show_default=False)],
    output: Annotated[Path, typer.Argument(metavar="OUT", help="Video to write.", show_default=False)],
    workspace: Annotated[
        Path | None, typer.Option(help="Folder for what is made on the way; by default OUT.work.", show_default=False)
    ] = None,
    override: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a setting, such as encode.crf=12.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object per line on stdout.")] = False,
    debug: Annotated[bool, typer.Option(help="Show tracebacks.")] = False,
) -> None:
    """Decode, encode, assemble and verify a video, and change nothing in it."""
    try:
        from faceswap_core.jobfile import recode_settings
        from flows.preflight import check_recode

        settings = recode_settings(video, output, workspace, override or [])
        check_recode(settings)
    except FaceswapError as error:
        raise typer.Exit(refused(error, as_json=json, debug=debug)) from error

    def work() -> Json:
        from flows.recode import recode_video

        return recode_video(settings)

    raise typer.Exit(conduct(work, as_json=json, debug=debug, resume=same_command))
