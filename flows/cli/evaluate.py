"""`faceswap evaluate`: how good a job's swap is, in figures beside their baselines."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import typer

from flows.cli.options import AllowTest, AsJson, Debug, Force, JobFile, Overrides, checked_job
from flows.cli.session import conduct, refusing

if TYPE_CHECKING:
    from faceswap_core.types import Json

_COLUMNS = {"no_swap": "no swap", "unsmoothed": "unsmoothed", "ideal_composite": "ideal composite"}


def evaluate(
    job: JobFile,
    override: Overrides = None,
    force: Force = False,
    allow_test_consent: AllowTest = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Judge the swap of a job, against the truth where it names one; what is not there yet is made first."""
    with refusing(as_json=as_json, debug=debug):
        settings = checked_job(job, override, force=force, allow_test_consent=allow_test_consent)
    judged: list[Json] = []

    def work() -> Json:
        from flows.parts import evaluate_job

        judged.append(evaluate_job(settings, force=force, allow_test_consent=allow_test_consent))
        return judged[0]

    code = conduct(work, as_json=as_json, debug=debug)
    if judged and sys.stdout.isatty() and not as_json:
        show(judged[0])
    raise typer.Exit(code)


def show(judged: Json) -> None:
    """Print what is told of quality and truth as tables."""
    from rich.console import Console
    from rich.table import Table

    quality, truth = judged["quality"], judged["truth"]
    console, baselines = Console(), quality["baselines"]
    columns = [name for name in _COLUMNS if name in baselines]
    table = Table(title="quality", title_justify="left")
    table.add_column("figure")
    for title in ("swap", *(_COLUMNS[name] for name in columns)):
        table.add_column(title, justify="right")
    for name, value in quality.items():
        if isinstance(value, dict) or name == "frames":
            continue
        table.add_row(name, _text(value), *(_text(baselines[column].get(name, "")) for column in columns))
    console.print(table)
    if network := quality["identity_network"]:
        worth = ", ".join(f"{name} {_text(value)}" for name, value in network.items())
        console.print(f"identity network, on unseen actors: {worth}", highlight=False, soft_wrap=True)
    if "not_measured" in judged:
        console.print(f"not measured: {judged['not_measured']}", highlight=False, soft_wrap=True)
    for name, why in quality["reasons"].items():
        console.print(f"{name}: {why}", highlight=False, soft_wrap=True)
    if truth is None:
        return
    table = Table("drawn", "transfer", "residual", "ssim", title="against the truth", title_justify="left")
    drawn = {"the swap": truth} | {
        name: truth[name] for name in ("plate", "reconstruction", "mean_face", "blurred_truth")
    }
    for name, found in drawn.items():
        table.add_row(name.replace("_", " "), *(_text(found[kind]) for kind in ("transfer", "residual", "ssim")))
    console.print(table)
    for name in ("swap_over_plate", "swap_over_mean_face", "swap_over_reconstruction"):
        console.print(f"{name}: {_text(truth[name])}", highlight=False)


def _text(value: float | str | None) -> str:
    """A figure for people."""
    return "not measured" if value is None else value if isinstance(value, str) else f"{value:.4g}"
