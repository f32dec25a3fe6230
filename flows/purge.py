"""workspace + record_id -> nothing that comes from that record, neither in the workspace nor in Prefect's store.

Prefect holds references, figures and words, and one kind of picture: contact sheets, which the flow UI shows.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

from faceswap_core.errors import EnvironmentFault, FaceswapError
from faceswap_core.stages.purge import derivatives, purge, runs_showing
from faceswap_core.storage import Workspace
from faceswap_core.types import Json
from flows.server import DATABASE, prefect_home, prefect_server

SHEETS = "tracks-*.png"
"""Contact sheets in a run's folder: each was shown in the flow UI too."""
_WAIT_SECONDS = 30.0


def purge_everywhere(workspace: Workspace, record_id: str, *, outputs: bool) -> Json:
    """Purge Prefect's store first, as the workspace is what tells which runs are meant; see `stages.purge`.

    Returns:
        what `Purged` holds, and ``artifacts``: pictures deleted from Prefect's store.

    Raises:
        EnvironmentFault: Prefect's store cannot be reached, or is in use.
        FaceswapError: something is left.
    """
    digests = {origin.sha256 for origin in derivatives(workspace, record_id)}
    flow_runs = [run for folder in runs_showing(workspace, digests | {record_id}) if (run := _shown_by(folder))]
    artifacts = _forget(flow_runs) if flow_runs else 0
    database = prefect_home() / DATABASE
    if artifacts:
        _compact(database)
    if left := _held(database, digests):
        raise FaceswapError(f"{database} still holds {len(left)} digests of what was purged: {left[:3]}; delete it")
    return {**vars(purge(workspace, record_id, outputs=outputs)), "artifacts": artifacts}


def _shown_by(folder: Path) -> UUID | None:
    """The flow run of a run's folder, where it showed a contact sheet."""
    if not any(folder.glob(SHEETS)):
        return None
    try:
        return UUID(json.loads((folder / "run.json").read_text())["flow_run"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # cut off before its first word; it had none to show then


def _forget(flow_runs: Sequence[UUID]) -> int:
    """Delete the pictures of flow runs; returns how many there were."""
    with prefect_server(quiet=True):
        from prefect.client.orchestration import get_client
        from prefect.client.schemas.filters import (
            ArtifactFilter,
            ArtifactFilterFlowRunId,
            ArtifactFilterType,
        )

        wanted = ArtifactFilter(
            flow_run_id=ArtifactFilterFlowRunId(any_=list(flow_runs)), type=ArtifactFilterType(any_=["image"])
        )
        count = 0
        with get_client(sync_client=True) as client:
            while found := client.read_artifacts(artifact_filter=wanted):
                for artifact in found:
                    client.delete_artifact(artifact.id)
                count += len(found)
    return count


def _compact(database: Path) -> None:
    """Write a database anew without the pages that deleted rows leave behind; one of another machine has no file."""
    if not database.is_file():
        return
    try:
        with contextlib.closing(sqlite3.connect(database, timeout=_WAIT_SECONDS)) as connection:
            connection.execute("vacuum")
            connection.execute("pragma wal_checkpoint(truncate)")
    except sqlite3.Error as error:
        raise EnvironmentFault(
            f"the pictures are deleted from {database}, but its freed pages cannot be cleared ({error}): end what uses "
            "it, such as `faceswap up`, and run the same command again"
        ) from error


def _held(database: Path, digests: set[str]) -> list[str]:
    """Digests that stand in a database."""
    data = b"".join(path.read_bytes() for path in database.parent.glob(f"{database.name}*") if path.is_file())
    return [digest for digest in sorted(digests) if digest.encode() in data]
