"""`faceswap faces ...`: the faces of a video, found, shown and chosen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from faceswap_core.errors import FaceswapError
from flows.cli.run import same_command
from flows.cli.session import conduct, refused

if TYPE_CHECKING:
    from faceswap_core.types import Json

group = typer.Typer(help="Find, show and choose the faces of a video.", no_args_is_help=True)


@group.callback()
def _faces() -> None:
    """Find, show and choose the faces of a video."""


@group.command()
def scan(
    video: Annotated[Path, typer.Argument(help="Video to search.", show_default=False)],
    backend: Annotated[
        str | None, typer.Option(help="Detector; by default detect.backend's.", show_default=False)
    ] = None,
    workspace: Annotated[
        Path | None,
        typer.Option(help="Folder for what is made on the way; by default VIDEO.scan here.", show_default=False),
    ] = None,
    override: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a setting, such as detect.min_face=0.05."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object per line on stdout.")] = False,
    debug: Annotated[bool, typer.Option(help="Show tracebacks.")] = False,
) -> None:
    """Count the faces and tracks of any video, and measure how steady and how fast they were found."""
    try:
        from faceswap_core.jobfile import scan_settings
        from flows.preflight import check_scan

        settings = scan_settings(video, backend, workspace, override or [])
        check_scan(settings)
    except FaceswapError as error:
        raise typer.Exit(refused(error, as_json=json, debug=debug)) from error

    def work() -> Json:
        from flows.scan import scan_video

        return scan_video(settings)

    raise typer.Exit(conduct(work, as_json=json, debug=debug, resume=same_command))
