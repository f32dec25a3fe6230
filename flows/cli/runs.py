"""`faceswap runs`: what ran in a workspace, how it ended, and how it goes on."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from faceswap_core.errors import FaceswapError
from flows.cli.session import conduct, refused

if TYPE_CHECKING:
    from faceswap_core.types import Json

app = typer.Typer(no_args_is_help=True, help="Runs of a workspace.")
Place = Annotated[Path, typer.Option("--workspace", help="Workspace of the job.", show_default="this folder")]
Name = Annotated[str, typer.Argument(metavar="RUN", help="Name of a run, or its end, or 'last'.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object per line on stdout.")]
Debug = Annotated[bool, typer.Option(help="Show tracebacks.")]
_SHOWN = ("run", "state", "began", "ended", "seconds", "host", "pid", "flow_run", "folder")


@app.command("list")
def list_runs(workspace: Place = Path(), as_json: AsJson = False, debug: Debug = False) -> None:
    """Name every run with its state, the oldest first."""

    def work() -> None:
        from flows.history import runs_of

        for facts in runs_of(workspace):
            if as_json:
                print(json.dumps({"event": "run", **_short(facts)}))
            else:
                print(f"{facts['run']}  {facts['state']:<11}  {facts['began']}  {facts['job'].get('name', '')}")

    _answer(work, as_json, debug)


@app.command("show")
def show_run(run: Name, workspace: Place = Path(), as_json: AsJson = False, debug: Debug = False) -> None:
    """Say how a run went: its state, frames, stages and files."""

    def work() -> None:
        from flows.history import find

        facts = find(workspace, run)
        report = Path(facts["folder"], "report.json")
        figures = json.loads(report.read_text()) if report.is_file() else {}
        shown = _short(facts) | {name: figures[name] for name in ("frames", "stages") if name in figures}
        if as_json:
            print(json.dumps({"event": "run", **shown, "job": facts["job"]}))
            return
        for name, value in shown.items():
            print(f"{name:<10}{value if not isinstance(value, dict) else json.dumps(value)}")

    _answer(work, as_json, debug)


@app.command("cancel")
def cancel_run(run: Name, workspace: Place = Path(), as_json: AsJson = False, debug: Debug = False) -> None:
    """Stop a run after its running chunks; it can be resumed."""

    def work() -> None:
        from flows.history import cancel, find

        facts = find(workspace, run)
        cancel(facts)
        told = {"event": "cancelled", "run": facts["run"]}
        print(json.dumps(told) if as_json else f"run {facts['run']} was asked to stop")

    _answer(work, as_json, debug)


@app.command("resume")
def resume_run(
    run: Name,
    workspace: Place = Path(),
    force: Annotated[bool, typer.Option(help="Run a job that is refused for its cost.")] = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Run the job of a run again with the same settings; what it finished is not done again."""
    _again(run, workspace, force=force, as_json=as_json, debug=debug, verb="resume")


@app.command("retry")
def retry_run(
    run: Name,
    workspace: Place = Path(),
    failed_only: Annotated[
        bool, typer.Option("--failed-only", help="Make the chunks with failed frames again, and only them.")
    ] = False,
    force: Annotated[bool, typer.Option(help="Run a job that is refused for its cost.")] = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Resume a run; with --failed-only, frames that failed are tried again too."""
    _again(run, workspace, force=force, as_json=as_json, debug=debug, verb="retry", failed_only=failed_only)


def _again(
    run: str, workspace: Path, *, force: bool, as_json: bool, debug: bool, verb: str, failed_only: bool = False
) -> None:
    try:
        from flows.history import find, forget_failed_chunks, is_alive, settings_of

        facts = find(workspace, run)
        if facts["state"] == "running" and is_alive(facts):
            from faceswap_core.errors import SettingsError

            raise SettingsError(f"run {facts['run']} still runs: wait for it, or `faceswap runs cancel` it first")
        settings = settings_of(facts)
        if failed_only:
            from faceswap_core.storage import Workspace

            forget_failed_chunks(Workspace(settings.workspace))
    except FaceswapError as error:
        raise typer.Exit(refused(error, as_json=as_json, debug=debug)) from error

    def work() -> Json:
        from faceswap_core.config import JobSettings

        if isinstance(settings, JobSettings):
            from flows.pipeline import swap_video

            return swap_video(settings, force=force)
        from flows.recode import recode_video

        return recode_video(settings)

    def command() -> str:
        return shlex.join(["faceswap", "runs", verb, str(facts["run"]), "--workspace", str(workspace)])

    raise typer.Exit(conduct(work, as_json=as_json, debug=debug, resume=command))


def _answer(work: Callable[[], None], as_json: bool, debug: bool) -> None:
    try:
        work()
    except FaceswapError as error:
        raise typer.Exit(refused(error, as_json=as_json, debug=debug)) from error


def _short(facts: Json) -> Json:
    return {name: facts.get(name) for name in _SHOWN}
