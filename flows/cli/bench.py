"""`faceswap bench`: how fast the stages are on this machine, each beside its floor."""

from __future__ import annotations

import json as json_text
from typing import Annotated

import typer

from faceswap_core.errors import FaceswapError, SettingsError
from flows.cli.session import refused


def bench(
    stage: Annotated[list[str] | None, typer.Option(help="Stage to measure; all by default.")] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Measurements of each figure.")] = 5,
    json: Annotated[bool, typer.Option("--json", help="One JSON object per line on stdout.")] = False,
    debug: Annotated[bool, typer.Option(help="Show tracebacks.")] = False,
) -> None:
    """Measure stages in processor seconds, against a floor each; nothing else should run meanwhile."""
    try:
        from faceswap_core.stages.bench import BENCHES

        if unknown := sorted(set(stage or ()) - set(BENCHES)):
            raise SettingsError(f"no stage {unknown} is measured: name some of {sorted(BENCHES)}")
        for name in stage or sorted(BENCHES):
            for figure in BENCHES[name](repeats):
                print(json_text.dumps(figure) if json else in_words(figure), flush=True)
    except FaceswapError as error:
        raise typer.Exit(refused(error, as_json=json, debug=debug)) from error


def in_words(figure: dict[str, float]) -> str:
    """One line for people."""
    return "{stage:<8} {metric:<36} {value:>12.4g} {unit:<4} {ratio:>8.3g} x {floor_name} ({floor:.4g})".format(
        **figure
    )
