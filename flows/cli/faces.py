"""`faceswap faces ...`: the faces of a video, found, shown and chosen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.cli.options import AsJson, Debug, Overrides, place
from flows.cli.session import conduct, refusing

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
        Any,
        typer.Option(
            parser=place,
            metavar="PLACE",
            help="For what is made on the way; by default VIDEO.scan here.",
            show_default=False,
        ),
    ] = None,
    override: Overrides = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Count the faces and tracks of any video, and measure how steady and how fast they were found."""
    with refusing(as_json=as_json, debug=debug):
        from faceswap_core.jobfile import scan_settings
        from flows.preflight import check_scan

        settings = scan_settings(video, backend, workspace, override or [])
        check_scan(settings)

    def work() -> Json:
        from flows.scan import scan_video

        return scan_video(settings)

    raise typer.Exit(conduct(work, as_json=as_json, debug=debug))
