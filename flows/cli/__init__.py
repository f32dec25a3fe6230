"""The command line: `faceswap COMMAND`. Flows and Prefect are imported by the commands that need them."""

from __future__ import annotations

import os

import typer

from flows.cli import (
    bench,
    consent,
    curate,
    demo,
    doctor,
    evaluate,
    export,
    models,
    preview,
    purge,
    recode,
    run,
    runs,
    up,
    verify,
)

# read when numpy is first imported: small products gain nothing from threads, and waiting ones eat the encoder's time
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

app = typer.Typer(
    name="faceswap",
    help="Swap a face in a video by training on both people, with the consent of both.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("demo")(demo.demo)
app.command("run")(run.run)
app.command("evaluate")(evaluate.evaluate)
app.command("preview")(preview.preview)
app.command("recode")(recode.recode)
app.command("verify")(verify.verify)
app.command("doctor")(doctor.doctor)
app.command("purge")(purge.purge)
app.add_typer(curate.group, name="faces")  # with `scan` of `faces`
app.add_typer(models.group, name="models")
app.command("up")(up.up)
app.add_typer(consent.app)
app.command("bench")(bench.bench)
app.command("export")(export.export)
app.add_typer(runs.app, name="runs")


@app.callback()
def _group() -> None:
    """Swap a face in a video by training on both people, with the consent of both."""


def main() -> None:
    """Run the command line."""
    app()
