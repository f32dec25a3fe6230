"""`faceswap doctor`: what this machine has, and what it lacks."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from faceswap_core.errors import FaceswapError
from flows.cli.options import AsJson
from flows.cli.session import refusing

if TYPE_CHECKING:
    from faceswap_core.types import Json


def doctor(
    make_test_identity: Annotated[
        bool, typer.Option("--make-test-identity", help="Make a new throw-away chain to sign trials with.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show hardware, encoders, model files, disk and the test identity."""
    with refusing(as_json=as_json):
        found = _examine(make_test_identity)
    if as_json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name:<14} {value}")


def _examine(renew_identity: bool) -> Json:
    from faceswap_core.config import RuntimeSettings
    from faceswap_core.config_encode import Encoder
    from faceswap_core.modelstore import MODEL_FILES, locate
    from faceswap_core.stages import identity
    from faceswap_core.storage import free_bytes
    from faceswap_core.video.encoder import require_encoder
    from flows.report import environment

    encoders = {name: _fault(partial(require_encoder, name)) for name in get_args(Encoder)}
    models = {name: _fault(partial(locate, name)) for name in MODEL_FILES}
    folder = identity.make_test_identity(renew=True) if renew_identity else identity.test_folder()
    return {
        **environment(RuntimeSettings()),
        "encoders": [name for name, fault in encoders.items() if not fault],
        "models": {name: fault or "ok" for name, fault in models.items()},
        "free_bytes": free_bytes(Path.cwd()),
        "test_identity": str(folder) if folder.is_dir() else "none; --make-test-identity makes one",
    }


def _fault(check: Callable[[], object]) -> str:
    """What is wrong with something; '' where nothing is."""
    try:
        check()
    except FaceswapError as error:
        return str(error)
    return ""
