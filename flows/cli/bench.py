"""`faceswap bench`: how fast the stages are on this machine, each beside its floor."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from faceswap_core.errors import SettingsError
from flows.cli.options import AsJson, Debug
from flows.cli.session import refusing


def bench(
    stage: Annotated[list[str] | None, typer.Option(help="Stage to measure; all by default.")] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Measurements of each figure.")] = 5,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Measure stages in processor seconds, against a floor each; nothing else should run meanwhile."""
    with refusing(as_json=as_json, debug=debug):
        from faceswap_core.stages.bench import BENCHES

        if unknown := sorted(set(stage or ()) - set(BENCHES)):
            raise SettingsError(f"no stage {unknown} is measured: name some of {sorted(BENCHES)}")
        for name in stage or sorted(BENCHES):
            for figure in BENCHES[name](repeats):
                print(json.dumps(figure) if as_json else in_words(figure), flush=True)


def in_words(figure: dict[str, float]) -> str:
    """One line for people."""
    return "{stage:<8} {metric:<36} {value:>12.4g} {unit:<4} {ratio:>8.3g} x {floor_name} ({floor:.4g})".format(
        **figure
    )
