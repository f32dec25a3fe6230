"""`faceswap verify`: who vouches for a finished file, and whether what it says of itself holds."""

from __future__ import annotations

import json as jsonlib
from pathlib import Path
from typing import Annotated

import typer

from faceswap_core.errors import ConsentError, FaceswapError
from flows.cli.session import refused


def verify(
    file: Annotated[Path, typer.Argument(help="Finished video, or a delivered folder.", show_default=False)],
    anchors: Annotated[
        Path | None, typer.Option(help="Folder of the root certificates (*.pem) to believe.", show_default=False)
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
    debug: Annotated[bool, typer.Option(help="Show tracebacks.")] = False,
) -> None:
    """Check provenance, consents, labels, frames and streams; exit 5 where any is not as it should be."""
    try:
        from faceswap_core.stages.authenticity import check_output
        from faceswap_core.stages.identity import anchors_in

        checks = check_output(file.expanduser().absolute(), anchors_in(anchors))
    except FaceswapError as error:
        raise typer.Exit(refused(error, as_json=json, debug=debug)) from error
    passed = all(check.passed for check in checks)
    if json:
        print(jsonlib.dumps({"file": str(file), "passed": passed, "checks": [vars(check) for check in checks]}))
    else:
        for check in checks:
            print(f"{'yes' if check.passed else 'NO ':<4} {check.name:<20} {check.detail}")
    raise typer.Exit(0 if passed else ConsentError.exit_code)
