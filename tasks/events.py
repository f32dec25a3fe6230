"""how a run ended -> an event on Prefect's bus, for automations of the user's own (deploy/automations.yaml)."""

from __future__ import annotations

import logging

import httpx
from prefect.client.orchestration import get_client
from prefect.context import FlowRunContext
from prefect.events import emit_event
from prefect.exceptions import PrefectException

from faceswap_core.types import Json

ENDED = "faceswap.run.{state}"
"""Names of the events; ``state`` is completed, failed or interrupted."""
_log = logging.getLogger(__name__)


def run_ended(state: str, run: Json, payload: Json) -> None:
    """Say that a run of a job ended; automations find its flow run, deployment and queue beside it.

    Args:
        state: ``completed``, ``failed`` or ``interrupted``.
        run: ``id`` and ``name`` of the run, and whatever else automations may match.
        payload: figures, or the error.
    """
    labels = {f"faceswap.{name}": str(value) for name, value in run.items()}
    resource = {
        "prefect.resource.id": f"faceswap.run.{run['id']}",
        "prefect.resource.name": str(run["name"]),
        **labels,
    }
    try:
        emit_event(ENDED.format(state=state), resource=resource, payload=payload)
    except (PrefectException, httpx.HTTPError, RuntimeError) as error:
        _log.warning("Prefect was not told how run %s ended: %s", run["id"], error)


def tag_flow_run(tags: set[str]) -> None:
    """Add tags to the running flow run; task runs get none, as each tag costs each of them a question to the server."""
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        return
    try:
        with get_client(sync_client=True) as client:
            client.update_flow_run(context.flow_run.id, tags={*context.flow_run.tags, *tags})
    except (PrefectException, httpx.HTTPError) as error:
        _log.warning("the flow run was not tagged: %s", error)
