"""`faceswap verify`: who vouches for a finished file, and whether what it says of itself holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from faceswap_core.errors import ConsentError
from flows.cli.options import AsJson, Debug
from flows.cli.session import refusing


def verify(
    file: Annotated[Path, typer.Argument(help="Finished video, or a delivered folder.", show_default=False)],
    anchors: Annotated[
        Path | None, typer.Option(help="Folder of the root certificates (*.pem) to believe.", show_default=False)
    ] = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Check provenance, consents, labels, frames and streams; exit 5 where any is not as it should be."""
    with refusing(as_json=as_json, debug=debug):
        from faceswap_core.stages.authenticity import check_output
        from faceswap_core.stages.identity import anchors_in

        checks = check_output(file.expanduser().absolute(), anchors_in(anchors))
    passed = all(check.passed for check in checks)
    if as_json:
        print(json.dumps({"file": str(file), "passed": passed, "checks": [vars(check) for check in checks]}))
    else:
        for check in checks:
            print(f"{'yes' if check.passed else 'NO ':<4} {check.name:<20} {check.detail}")
    raise typer.Exit(0 if passed else ConsentError.exit_code)
