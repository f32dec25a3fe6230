"""`faceswap faces sheet|stats|drop|keep|best`: which faces of a job's footage are trained on."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.cli.faces import group as group
from flows.cli.options import AsJson, Debug, place
from flows.cli.session import refusing

if TYPE_CHECKING:
    from faceswap_core.stages.faceset import Faceset
    from faceswap_core.types import Json

Place = Annotated[
    Any, typer.Argument(parser=place, metavar="JOB", help="Job file, or its workspace.", show_default=False)
]
Subject = Annotated[str | None, typer.Option(help="Only this person's faces.", show_default=False)]
Where = Annotated[
    str, typer.Argument(metavar="WHERE", help="Such as 'sharpness < 20 or abs(yaw) > 60'.", show_default=False)
]


@group.command()
def stats(job: Place, subject: Subject = None, as_json: AsJson = False, debug: Debug = False) -> None:
    """Count each person's faces, and show how their figures are spread."""
    _conduct(job, lambda faces: _statistics(faces, subject), as_json=as_json, debug=debug)


@group.command()
def sheet(
    job: Place,
    output: Annotated[Path, typer.Option(help="PNG file to write.")] = Path("faces.png"),
    where: Annotated[str | None, typer.Option(help="Only faces for which this is true.", show_default=False)] = None,
    subject: Subject = None,
    by: Annotated[str, typer.Option(help="Column whose largest values come first; '-sharpness': smallest.")] = (
        "strangeness"
    ),
    count: Annotated[int, typer.Option(min=1, max=10_000, help="Faces at most.")] = 100,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Draw a contact sheet, those faces first that stand out most; those left out have a red frame."""

    def draw(faces: Faceset) -> Json:
        from faceswap_core.storage import atomic_path

        picture = faces.sheet(where, subject, by=by, count=count)
        with atomic_path(output.expanduser().absolute()) as temporary:
            temporary.write_bytes(picture)
        return {"output": str(output.expanduser().absolute())}

    _conduct(job, draw, as_json=as_json, debug=debug)


@group.command()
def drop(job: Place, where: Where, subject: Subject = None, as_json: AsJson = False, debug: Debug = False) -> None:
    """Leave faces out of training."""

    def choose(faces: Faceset) -> Json:
        faces.drop(where, subject)
        return _counts(faces)

    _conduct(job, choose, as_json=as_json, debug=debug)


@group.command()
def keep(
    job: Place,
    where: Annotated[
        str | None, typer.Argument(metavar="[WHERE]", help="Which; all without it.", show_default=False)
    ] = None,
    only: Annotated[bool, typer.Option("--only", help="Leave out all others.")] = False,
    subject: Subject = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Take faces into training again."""

    def choose(faces: Faceset) -> Json:
        faces.keep(where, subject, only=only)
        return _counts(faces)

    _conduct(job, choose, as_json=as_json, debug=debug)


@group.command()
def best(
    job: Place,
    count: Annotated[int, typer.Argument(min=1, metavar="N", help="Faces of each person.", show_default=False)],
    subject: Subject = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Keep the N faces of each person that differ most in pose, light and expression, sharp ones before others."""

    def choose(faces: Faceset) -> Json:
        faces.best(count, subject)
        return _counts(faces)

    _conduct(job, choose, as_json=as_json, debug=debug)


def _conduct(job: Path | str, work: Callable[[Faceset], Json], *, as_json: bool, debug: bool) -> None:
    """Open the faceset, do the work and print what it gives."""
    with refusing(as_json=as_json, debug=debug):
        from faceswap_core.stages.faceset import Faceset

        given = work(Faceset.open(_workspace(job)))
    if as_json or not sys.stdout.isatty():
        print(json.dumps({"event": "done", **given}), flush=True)
    else:
        _show(given)


def _workspace(job: Path | str) -> Path | str:
    """The workspace of a job file; anything else is taken for the workspace itself."""
    if isinstance(job, str) or (job.suffix != ".toml" and not job.is_file()):
        return job
    from faceswap_core.jobfile import load_job

    return load_job(job).workspace


def _counts(faces: Faceset) -> Json:
    kept = faces.table.groupby("subject")["keep"].agg(["size", "sum"])
    return {"subjects": {str(name): {"faces": int(n), "kept": int(k)} for name, (n, k) in kept.iterrows()}}


def _statistics(faces: Faceset, subject: str | None) -> Json:
    """Per person: faces, kept, why others were dropped, and low, middle and high values of each figure of the kept."""
    from faceswap_core.schemas import FIGURES

    table = faces.table[faces.matching(None, subject)]
    found: Json = {"subjects": {}}
    for name, part in table.groupby("subject"):
        kept = part[part["keep"]]
        spread = kept[[*(n for n, _ in FIGURES), "strangeness"]].quantile([0.05, 0.5, 0.95])
        found["subjects"][str(name)] = {
            "faces": len(part),
            "kept": len(kept),
            "duplicates": int(part["duplicate"].sum()),
            "dropped": {str(k): int(v) for k, v in part[~part["keep"]]["reason"].value_counts().items()},
            "figures": {n: [_number(v) for v in spread[n]] for n in spread.columns},
        }
    return found


def _number(value: float) -> float | None:
    return None if value != value else round(float(value), 4)


def _show(given: Json) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    if "output" in given:
        console.print(f"output  {given['output']}", markup=False, highlight=False, soft_wrap=True)
    for name, facts in given.get("subjects", {}).items():
        plain: dict[str, Any] = {k: v for k, v in facts.items() if k not in ("figures", "dropped")}
        console.print(f"{name}: " + ", ".join(f"{v} {k}" for k, v in plain.items()), markup=False, highlight=False)
        for reason, count in facts.get("dropped", {}).items():
            console.print(f"  {count} dropped: {reason}", markup=False, highlight=False)
        if "figures" in facts:
            table = Table("figure", "5 %", "median", "95 %")
            for figure, values in facts["figures"].items():
                table.add_row(figure, *("-" if v is None else f"{v:.4g}" for v in values))
            console.print(table)
