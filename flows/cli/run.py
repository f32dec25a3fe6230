"""`faceswap run`: a job file -> the swapped video."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from flows.cli.options import AllowTest, AsJson, Debug, Force, JobFile, Overrides, checked_job
from flows.cli.session import conduct, refusing

if TYPE_CHECKING:
    from faceswap_core.types import Json


def run(
    job: JobFile,
    override: Overrides = None,
    force: Force = False,
    allow_test_consent: AllowTest = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Run a whole job; the same command again resumes."""
    with refusing(as_json=as_json, debug=debug):
        settings = checked_job(job, override, force=force, allow_test_consent=allow_test_consent)

    def work() -> Json:
        from flows.pipeline import swap_video

        return swap_video(settings, force=force, allow_test_consent=allow_test_consent)

    raise typer.Exit(conduct(work, as_json=as_json, debug=debug))
