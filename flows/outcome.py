"""report of a run -> its last words, and the error that a flawed output ends with."""

from __future__ import annotations

from pathlib import Path

from faceswap_core.errors import FaceswapError, PartialError
from faceswap_core.types import Json
from flows.record import Run


def last_words(run: Run, output: Path | None, report: Json, path: Path) -> Json:
    """run, output (None where figures are all that is made), report, computed, cached and seconds."""
    stages = report["stages"].values()
    return {
        "run": run.run_id,
        "output": str(output) if output else None,
        "report": str(path),
        "computed": sum(stage["computed"] for stage in stages),
        "cached": sum(stage["cached"] for stage in stages),
        "seconds": round(run.seconds, 3),
    }


def judge(output: Path, report: Json) -> None:
    """Fail a run whose video exists but is not as it should be.

    Raises:
        FaceswapError: the video did not pass verification.
        PartialError: some of its frames failed.
    """
    wrong = report["video"]["failed_checks"]
    if wrong:
        raise FaceswapError(f"{output} was written but did not pass verification: {'; '.join(wrong)}")
    failed = report["frames"]["failed"]
    if failed:
        raise PartialError(
            f"{failed} of {report['frames']['total']} frames of {output} failed and show the plate: "
            f"{report['frames']['reasons']}; see the report, then run the same command again"
        )
