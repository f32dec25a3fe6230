"""What several commands take: their arguments and options, and a job as these name it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from faceswap_core.config import JobSettings

JobFile = Annotated[Path, typer.Argument(help="Job file (TOML).", show_default=False)]


def place(text: str) -> Path | str:
    """A workspace as an option names it."""
    from faceswap_core.errors import SettingsError
    from faceswap_core.storage import place_of

    try:
        return place_of(text)
    except SettingsError as error:
        raise typer.BadParameter(str(error)) from error


Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a setting, such as encode.crf=12; may be repeated."),
]
Force = Annotated[bool, typer.Option(help="Run a job that is refused for its cost.")]
AllowTest = Annotated[bool, typer.Option(help="Admit consent records of kind test; written into what is made.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object per line on stdout.")]
Debug = Annotated[bool, typer.Option(help="Show tracebacks.")]


def checked_job(job: Path, overrides: list[str] | None, *, force: bool, allow_test_consent: bool) -> JobSettings:
    """Read a job and look whether it can end well, before Prefect is imported or anything is written.

    Raises:
        FaceswapError: it cannot.
    """
    from faceswap_core.jobfile import load_job

    settings = load_job(job, overrides or [])
    from flows.preflight import check_job

    check_job(settings, force=force, allow_test_consent=allow_test_consent)
    return settings
