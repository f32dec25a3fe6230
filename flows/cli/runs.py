"""`faceswap runs`: what ran in a workspace, how it ended, and how it goes on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.cli.options import AllowTest, AsJson, Debug, Force, place
from flows.cli.session import conduct, refusing

if TYPE_CHECKING:
    from faceswap_core.types import Json

app = typer.Typer(no_args_is_help=True, help="Runs of a workspace.")
Place = Annotated[
    Any,
    typer.Option(
        "--workspace", parser=place, metavar="PLACE", help="Workspace of the job.", show_default="this folder"
    ),
]
Name = Annotated[str, typer.Argument(metavar="RUN", help="Name of a run, or its end, or 'last'.", show_default=False)]
_SHOWN = ("run", "state", "began", "ended", "seconds", "host", "pid", "flow_run", "folder")


@app.command("list")
def list_runs(workspace: Place = ".", as_json: AsJson = False, debug: Debug = False) -> None:
    """Name every run with its state, the oldest first."""
    with refusing(as_json=as_json, debug=debug):
        from flows.history import runs_of

        for facts in runs_of(workspace):
            if as_json:
                print(json.dumps({"event": "run", **_short(facts)}))
            else:
                print(f"{facts['run']}  {facts['state']:<11}  {facts['began']}  {facts['job'].get('name', '')}")


@app.command("show")
def show_run(run: Name, workspace: Place = ".", as_json: AsJson = False, debug: Debug = False) -> None:
    """Say how a run went: its state, frames, stages and files."""
    with refusing(as_json=as_json, debug=debug):
        from flows.history import fetch_folder, find

        facts = find(workspace, run)
        fetch_folder(workspace, facts)
        report = Path(facts["folder"], "report.json")
        figures = json.loads(report.read_text()) if report.is_file() else {}
        shown = _short(facts) | {name: figures[name] for name in ("frames", "stages") if name in figures}
        if as_json:
            print(json.dumps({"event": "run", **shown, "job": facts["job"]}))
            return
        for name, value in shown.items():
            print(f"{name:<10}{value if not isinstance(value, dict) else json.dumps(value)}")


@app.command("cancel")
def cancel_run(run: Name, workspace: Place = ".", as_json: AsJson = False, debug: Debug = False) -> None:
    """Stop a run after its running chunks; it can be resumed."""
    with refusing(as_json=as_json, debug=debug):
        from flows.history import cancel, find

        facts = find(workspace, run)
        cancel(facts)
        told = {"event": "cancelled", "run": facts["run"]}
        print(json.dumps(told) if as_json else f"run {facts['run']} was asked to stop")


@app.command("resume")
def resume_run(
    run: Name,
    workspace: Place = ".",
    force: Force = False,
    allow_test_consent: AllowTest = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Run the job of a run again with the same settings; what it finished is not done again."""
    more = {"force": force, "allow_test_consent": allow_test_consent}
    _again(run, workspace, more, as_json=as_json, debug=debug)


@app.command("retry")
def retry_run(
    run: Name,
    workspace: Place = ".",
    failed_only: Annotated[
        bool, typer.Option("--failed-only", help="Make the chunks with failed frames again, and only them.")
    ] = False,
    force: Force = False,
    allow_test_consent: AllowTest = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Resume a run; with --failed-only, frames that failed are tried again too."""
    more = {"force": force, "allow_test_consent": allow_test_consent}
    _again(run, workspace, more, as_json=as_json, debug=debug, failed_only=failed_only)


def _again(
    run: str, workspace: Path | str, allowed: dict[str, bool], *, as_json: bool, debug: bool, failed_only: bool = False
) -> None:
    with refusing(as_json=as_json, debug=debug):
        from flows.history import find, forget_failed_chunks, is_alive, settings_of

        facts = find(workspace, run)
        if facts["state"] == "running" and is_alive(facts):
            from faceswap_core.errors import SettingsError

            raise SettingsError(f"run {facts['run']} still runs: wait for it, or `faceswap runs cancel` it first")
        settings = settings_of(facts)
        if failed_only:
            from faceswap_core.storage import Workspace

            forget_failed_chunks(Workspace(settings.workspace))

    def work() -> Json:
        from faceswap_core.config import JobSettings

        if isinstance(settings, JobSettings):
            from flows.pipeline import swap_video

            return swap_video(settings, **allowed)
        from flows.recode import recode_video

        return recode_video(settings)

    raise typer.Exit(conduct(work, as_json=as_json, debug=debug))


def _short(facts: Json) -> Json:
    return {name: facts.get(name) for name in _SHOWN}
