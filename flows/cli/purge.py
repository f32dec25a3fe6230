"""`faceswap purge`: delete everything that comes from a consent record, and prove it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.cli.consent import told
from flows.cli.options import AsJson, place

if TYPE_CHECKING:
    from faceswap_core.types import Json


def purge(
    record: Annotated[str, typer.Argument(help="record_id, or the record's file.", show_default=False)],
    workspace: Annotated[
        Any, typer.Option(parser=place, metavar="PLACE", help="Workspace to purge.", show_default=False)
    ],
    outputs: Annotated[bool, typer.Option("--outputs", help="Delete finished videos and folders too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete facesets, checkpoints, chunks, reports, task records and pictures in the flow UI that come from a record.

    Footage stays.

    Finished videos and other files outside the workspace are named, with the command that deletes them: the workspace
    knows them no longer. Other machines forget their copies of a workspace in a bucket when they next use it.
    """

    def work() -> Json:
        from faceswap_core.errors import SettingsError
        from faceswap_core.stages.consent import read_signed
        from faceswap_core.storage import Workspace
        from faceswap_core.trust.consent import read_record
        from flows.purge import purge_everywhere

        if isinstance(workspace, Path) and not workspace.is_dir():
            raise SettingsError(f"workspace {workspace} is no folder: name the one that the job used")
        file = Path(record)
        record_id = read_record(read_signed(file), record).record_id if file.is_file() else record
        return purge_everywhere(Workspace(workspace), record_id, outputs=outputs)

    told(work, as_json=as_json)
