"""segment -> a run of the deployment that converts it on another worker: asked for, watched, withdrawn."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Literal
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.objects import FlowRun, State
from prefect.deployments import run_deployment
from prefect.events.filters import EventFilter, EventNameFilter, EventResourceFilter
from prefect.states import Cancelled, Crashed

from faceswap_core.config import JobSettings
from faceswap_core.types import FileRef
from flows.chunks import Segment, is_made

DEPLOYMENT = "convert-segment/convert-segment"
_SILENT_SECONDS = 120.0
"""Four heartbeats, as prefect.yaml sets them: how long a worker may take to begin, and be silent later."""
_PAGE = 200
"""Runs that the server tells of at once."""


@dataclass
class Errand:
    """One segment, and the run that another worker was asked for."""

    client: SyncPrefectClient
    """To the server."""
    job: JobSettings
    """Whose plate it is of."""
    segment: Segment
    """What is to be converted."""
    weights: FileRef
    """With what."""
    allow_test_consent: bool
    """Whether records of kind ``test`` count."""
    run: FlowRun | None = None
    """The run; None as long as nobody was asked."""
    tries: int = 0
    """How many were asked for here."""
    sign: tuple[object, object] = (None, None)
    """State and heartbeat that were seen last."""
    since: float = field(default_factory=time.monotonic)
    """When that was new."""

    def is_done(self) -> bool:
        """Whether the workspace has it."""
        return is_made(self.job, self.segment, self.weights)

    def ask(self) -> None:
        """Ask for a run, or join the one that an earlier command asked for and that has not ended."""
        parameters = {
            "job": self.job.model_dump(mode="json"),
            "segment": self.segment.model_dump(mode="json"),
            "weights": dict(self.weights),
            "allow_test_consent": self.allow_test_consent,
        }
        key = hashlib.sha256(json.dumps(parameters, sort_keys=True).encode()).hexdigest()[:32]
        self.tries += 1
        self.since = time.monotonic()
        for number in count():
            run = run_deployment(
                DEPLOYMENT,
                parameters=parameters,
                timeout=0,
                as_subflow=False,
                idempotency_key=f"segment-{key}-{number}",
                tags=[f"job:{self.job.name}"],
            )
            assert isinstance(run, FlowRun)
            if run.state is None or not run.state.is_final():
                self.run = run
                return

    def fate(self, states: Mapping[UUID, State[object]]) -> Literal["waits", "runs", "ended"]:
        """How the run fares, by the states of all; a silent one is marked as crashed."""
        if self.run is None or self.run.id not in states:
            return "ended"
        state = states[self.run.id]
        if state.is_scheduled():
            return "waits"
        if state.is_final():
            return "ended"
        sign = (state.id, self._heartbeat())
        if sign != self.sign:
            self.sign, self.since = sign, time.monotonic()
        if time.monotonic() - self.since < _SILENT_SECONDS:
            return "runs"
        message = f"no sign of life for {_SILENT_SECONDS:.0f} s"
        self.client.set_flow_run_state(self.run.id, Crashed(message=message), force=True)
        return "ended"

    def _heartbeat(self) -> object:
        assert self.run
        wanted = EventFilter(
            event=EventNameFilter(name=["prefect.flow-run.heartbeat"]),
            resource=EventResourceFilter(id=[f"prefect.flow-run.{self.run.id}"]),
        )
        events = self.client.read_events(filter=wanted, limit=1).events
        return events[0].id if events else None

    def withdraw(self) -> bool:
        """Cancel the run if no worker has taken it; True where that was so."""
        if self.run is None or self.fate(states_of(self.client, [self])) != "waits":
            return False
        self.client.set_flow_run_state(self.run.id, Cancelled(message="done by the run that asked for it"))
        return True


def states_of(client: SyncPrefectClient, errands: Iterable[Errand]) -> dict[UUID, State[object]]:
    """States of the runs that were asked for; what somebody deleted has none."""
    ids = [errand.run.id for errand in errands if errand.run]
    found: dict[UUID, State[object]] = {}
    for begin in range(0, len(ids), _PAGE):
        wanted = FlowRunFilter(id=FlowRunFilterId(any_=ids[begin : begin + _PAGE]))
        runs = client.read_flow_runs(flow_run_filter=wanted, limit=_PAGE)
        found |= {run.id: run.state for run in runs if run.state}
    return found
