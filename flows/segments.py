"""a long plate -> segments that other workers convert, as runs of a deployment; what nobody has begun is done here.

What is finished, the workspace alone says: a segment's chunks are the cached, published ones of a run that shares
nothing. The server tells who works on what. A run that crashed, or was silent for too long, is submitted again; one
that still waits for a worker when this run has nothing else to do is withdrawn and done here, so that a job ends with
any number of workers, none included.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Literal

from prefect import flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import FlowRun
from prefect.deployments import run_deployment
from prefect.events.filters import EventFilter, EventNameFilter, EventResourceFilter
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelled, Crashed

from faceswap_core.config import JobSettings
from faceswap_core.errors import EnvironmentFault
from faceswap_core.stages.consent import ConsentGate, check_model
from faceswap_core.stages.decode import published_chunk
from faceswap_core.stages.weights import pick_device
from faceswap_core.storage import Workspace
from faceswap_core.types import FileRef, Json, ManifestRef
from flows.chunks import Segment, announce, convert_chunks, is_made, segment_of
from flows.faceset import Faceset
from flows.record import log_at_info
from tasks import progress
from tasks.artifacts import stage_bars
from tasks.options import job_runner
from tasks.tally import Tally, counting

_log = logging.getLogger(__name__)
DEPLOYMENT = "convert-segment/convert-segment"
_TRIES = 3
"""Runs of one segment that other workers may lose before it is done here."""
_SECONDS_BETWEEN_LOOKS = 5.0
_SILENT_SECONDS = 120.0
"""Four heartbeats, as prefect.yaml sets them: how long a worker may take to begin, and be silent later."""


@flow(name="convert-segment", flow_run_name="chunks {segment.span} · {job.name}", persist_result=False)
def convert_segment(job: JobSettings, segment: Segment, weights: FileRef, allow_test_consent: bool = False) -> Json:
    """Convert some chunks of a plate for a run of `swap-video` that shares its work.

    Args:
        job: The job, as that run has it.
        segment: The chunks, with all that converting them needs.
        weights: Reference to the weights.
        allow_test_consent: Whether records of kind ``test`` count.

    Returns:
        How many task runs were computed and found cached, by stage.
    """
    workspace = Workspace(job.workspace)
    workspace.begin()
    gate = ConsentGate(job, allow_test=allow_test_consent)
    check_model(workspace, weights, gate.check("the swap"))
    log_at_info()
    tally = Tally()
    with stage_bars(), counting(tally), job_runner(str(job.workspace), job.runtime):
        announce(job, segment)
        convert_chunks(job, segment, weights)
    return tally.report()


def check_segments(job: JobSettings) -> None:
    """Refuse to share a plate where nobody can be asked.

    Raises:
        EnvironmentFault: the server has no deployment for it.
    """
    if not job.runtime.segment_seconds:
        return
    with get_client(sync_client=True) as client:
        try:
            client.read_deployment_by_name(DEPLOYMENT)
        except ObjectNotFound as error:
            raise EnvironmentFault(
                f"runtime.segment_seconds is {job.runtime.segment_seconds:g}, and the Prefect server has no deployment "
                f"{DEPLOYMENT}, by which other workers are asked: start `faceswap up` or bring prefect.yaml to your "
                "server, or set runtime.segment_seconds to 0"
            ) from error


def convert_shared(
    job: JobSettings, plate: Faceset, weights: FileRef, *, allow_test_consent: bool
) -> tuple[list[ManifestRef], list[ManifestRef]]:
    """What `convert_chunks` makes of the whole plate, with other workers' help, on the kind of device used here."""
    runtime = job.runtime.model_copy(update={"device": pick_device(job.runtime).type})
    job = job.model_copy(update={"runtime": runtime})
    rate = published_chunk(Workspace(job.workspace), plate.frames[0])[1].average_rate
    groups = grouped([frames["rows"] for frames in plate.frames], job.runtime.segment_seconds * float(rate))
    made: dict[int, tuple[list[ManifestRef], list[ManifestRef]]] = {}
    with get_client(sync_client=True) as client:
        errands = {
            numbers[0]: _Errand(client, job, segment_of(plate, numbers, job.smooth), weights, allow_test_consent)
            for numbers in groups
        }
        try:
            for errand in errands.values():
                if not errand.is_done():
                    errand.ask()
            while errands:
                first = _next(errands)
                if first is None:
                    progress.refuse_after_stop()
                    time.sleep(_SECONDS_BETWEEN_LOOKS)
                else:
                    made[first] = convert_chunks(job, errands.pop(first).segment, weights)
        finally:
            for errand in errands.values():
                errand.withdraw()
    smoothed, chunks = zip(*(made[first] for first in sorted(made)), strict=True)
    return [ref for refs in smoothed for ref in refs], [ref for refs in chunks for ref in refs]


def grouped(rows: Sequence[int], least: float) -> list[list[int]]:
    """Numbers of chunks in a row, each group of at least so many frames; what is left over joins the last."""
    groups: list[list[int]] = [[]]
    length = 0
    for number, frames in enumerate(rows):
        if length >= least and groups[-1]:
            groups.append([])
            length = 0
        groups[-1].append(number)
        length += frames
    if length < least and len(groups) > 1:
        last = groups.pop()
        groups[-1] += last
    return groups


def _next(errands: Mapping[int, _Errand]) -> int | None:
    """The segment to convert, or to find converted, here and now; None where all of them are in other hands."""
    states = {first: errand.look() for first, errand in errands.items()}
    for first in [first for first, state in states.items() if state == "ended"]:
        errand = errands[first]
        if errand.run is None or errand.tries >= _TRIES or errand.is_done():
            return first
        _log.warning("chunks %s are not finished by run %s: asking again", errand.segment.span, errand.run.name)
        errand.ask()
    waiting = [first for first, state in states.items() if state == "waits"]
    return next((first for first in reversed(waiting) if errands[first].withdraw()), None)


@dataclass
class _Errand:
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

    def look(self) -> Literal["waits", "runs", "ended"]:
        """How the run fares; a silent one is marked as crashed."""
        if self.run is None:
            return "ended"
        try:
            state = self.client.read_flow_run(self.run.id).state
        except ObjectNotFound:
            return "ended"  # somebody deleted it
        if state is None or state.is_scheduled():
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
        if self.run is None or self.look() != "waits":
            return False
        self.client.set_flow_run_state(self.run.id, Cancelled(message="done by the run that asked for it"))
        return True
