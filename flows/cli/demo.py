"""`faceswap demo`: two synthetic actors -> rendered, trained, swapped, judged against the truth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.cli.options import AsJson, Debug, place
from flows.cli.session import conduct, refusing

if TYPE_CHECKING:
    from faceswap_core.types import Json


def demo(
    workspace: Annotated[
        Any, typer.Option(parser=place, metavar="FOLDER", help="Folder for everything that is made.")
    ] = "demo",
    actor_a: Annotated[int, typer.Option(min=0, help="Seed of the person in the plate.")] = 3,
    actor_b: Annotated[int, typer.Option(min=0, help="Seed of the person who is drawn.")] = 8,
    seed: Annotated[int, typer.Option(min=0, max=100_000_000, help="Seed of performances and training.")] = 0,
    iterations: Annotated[int | None, typer.Option(min=1, help="Training steps; by default the preset's.")] = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Render two synthetic actors, train on them, swap one for the other, verify, and report."""

    with refusing(as_json=as_json, debug=debug):
        from faceswap_core.storage import local_workspace

        folder = local_workspace(workspace, "faceswap demo").expanduser().absolute()

    def work() -> Json:
        from faceswap_core.jobfile import load_job
        from flows.demo import Demo, render_actors, write_job
        from flows.pipeline import swap_video

        cast = Demo(actor_a, actor_b, seed, iterations)
        job = write_job(folder, render_actors(folder, cast), cast)
        return swap_video(load_job(job))

    raise typer.Exit(conduct(work, as_json=as_json, debug=debug))
