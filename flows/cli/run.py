"""`faceswap run`: a job file -> the swapped video."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from faceswap_core.errors import FaceswapError
from flows.cli.session import conduct, refused

if TYPE_CHECKING:
    from faceswap_core.types import Json


def run(
    job: Annotated[Path, typer.Argument(help="Job file (TOML).", show_default=False)],
    override: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a setting, such as train.iterations=500."),
    ] = None,
    force: Annotated[bool, typer.Option(help="Run a job that is refused for its cost.")] = False,
    allow_test_consent: Annotated[
        bool, typer.Option(help="Admit consent records of kind test; written into the output.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON object per line on stdout.")] = False,
    debug: Annotated[bool, typer.Option(help="Show tracebacks.")] = False,
) -> None:
    """Run a whole job; the same command again resumes."""
    try:
        from faceswap_core.jobfile import load_job

        settings = load_job(job, override or [])
        from flows.preflight import check_job

        check_job(settings, force=force, allow_test_consent=allow_test_consent)
    except FaceswapError as error:
        raise typer.Exit(refused(error, as_json=json, debug=debug)) from error

    def work() -> Json:
        from flows.pipeline import swap_video

        return swap_video(settings, force=force, allow_test_consent=allow_test_consent)

    raise typer.Exit(conduct(work, as_json=json, debug=debug, resume=same_command))


def same_command() -> str:
    """The command line as it was given."""
    return shlex.join(["faceswap", *sys.argv[1:]])
