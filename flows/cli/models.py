"""`faceswap models`: what lies in the model store, and the only way to bring something there."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from faceswap_core.errors import ModelMissingError, SettingsError
from flows.cli.options import AsJson, Debug
from flows.cli.session import refusing

if TYPE_CHECKING:
    from faceswap_core.modelstore import ModelState
    from faceswap_core.types import Json

group = typer.Typer(help="Model files: list, download, check.", no_args_is_help=True)

Names = Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Models; by default all.")]


@group.command("list")
def list_models(as_json: AsJson = False) -> None:
    """Show every model file: its state, its licence, where it lies."""
    from faceswap_core.modelstore import survey

    _tell(survey(), as_json=as_json)


@group.command("verify")
def verify(names: Names = None, as_json: AsJson = False, debug: Debug = False) -> None:
    """Check the sha256 of model files; exit code 3 where one is altered, or is named here and missing."""
    from faceswap_core.modelstore import survey

    with refusing(as_json=as_json, debug=debug):
        states = list(survey(tuple(_known(names or []))))
        _tell(states, as_json=as_json)
        _refuse_faults(states, named=bool(names))


@group.command("pull")
def pull(
    name: Annotated[str, typer.Argument(help="facemesh, or a pack such as buffalo_l.", show_default=False)],
    accept_noncommercial: Annotated[
        bool, typer.Option("--accept-noncommercial", help="Accept weights for non-commercial research only.")
    ] = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Download a model into the store, check its sha256, and print its licence."""
    from faceswap_core import modelpull
    from faceswap_core.modelstore import survey

    with refusing(as_json=as_json, debug=debug):
        modelpull.pull(name, accept_noncommercial=accept_noncommercial)
        _tell(survey((name,)), as_json=as_json)


def _known(names: list[str]) -> list[str]:
    from faceswap_core.modelstore import MODEL_FILES, MODEL_PACKS

    for name in names:
        if name not in {*MODEL_FILES, *MODEL_PACKS}:
            raise SettingsError(f"model {name!r} is none of {', '.join([*MODEL_FILES, *MODEL_PACKS])}")
    return names


def _tell(states: Iterable[ModelState], *, as_json: bool) -> None:
    for state in states:
        if as_json:
            print(json.dumps(_event(state)), flush=True)
        else:
            print(f"{state.name:<12}{state.state:<9}{state.licence}\n{'':12}{state.path}", flush=True)


def _event(state: ModelState) -> Json:
    remedy = None if state.state == "present" else state.remedy
    return {"event": "model", **state._asdict(), "path": str(state.path), "remedy": remedy}


def _refuse_faults(states: list[ModelState], *, named: bool) -> None:
    """Refuse altered files, and missing ones where the user asked for them or every job needs them."""
    faults = [s for s in states if s.state == "altered" or (s.state == "missing" and (named or s.needed))]
    if faults:
        raise ModelMissingError("; ".join(f"{s.path} is {s.state}: {s.remedy}" for s in faults))
