"""a long plate -> segments that other workers convert, as runs of a deployment; what nobody has begun is done here.

What is finished, the workspace alone says: a segment's chunks are the cached, published ones of a run that shares
nothing. The server tells who works on what. A run that crashed, or was silent for too long, is submitted again; one
that still waits for a worker when this run has nothing else to do is withdrawn and done here, so that a job ends with
any number of workers, none included.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence

from prefect import flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.exceptions import ObjectNotFound

from faceswap_core.config import JobSettings
from faceswap_core.errors import EnvironmentFault
from faceswap_core.stages.consent import ConsentGate, check_model
from faceswap_core.stages.decode import published_chunk
from faceswap_core.stages.weights import pick_device
from faceswap_core.storage import Workspace
from faceswap_core.types import FileRef, Json, ManifestRef
from flows.child import end_with_service
from flows.chunks import Segment, announce, convert_chunks, segment_of
from flows.errands import DEPLOYMENT, Errand, states_of
from flows.faceset import Faceset
from flows.record import log_at_info
from tasks import progress
from tasks.artifacts import stage_bars
from tasks.options import job_runner
from tasks.tally import Tally, counting

_log = logging.getLogger(__name__)
_TRIES = 3
"""Runs of one segment that other workers may lose before it is done here."""
_SECONDS_BETWEEN_LOOKS = 5.0


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
    end_with_service()
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
            numbers[0]: Errand(client, job, segment_of(plate, numbers, job.smooth), weights, allow_test_consent)
            for numbers in groups
        }
        try:
            for errand in errands.values():
                if not errand.is_done():
                    errand.ask()
            while errands:
                first = _next(client, errands)
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


def _next(client: SyncPrefectClient, errands: Mapping[int, Errand]) -> int | None:
    """The segment to convert, or to find converted, here and now; None where all of them are in other hands."""
    states = states_of(client, errands.values())
    fates = {first: errand.fate(states) for first, errand in errands.items()}
    for first in [first for first, fate in fates.items() if fate == "ended"]:
        errand = errands[first]
        if errand.run is None or errand.tries >= _TRIES or errand.is_done():
            return first
        _log.warning("chunks %s are not finished by run %s: asking again", errand.segment.span, errand.run.name)
        errand.ask()
    waiting = [first for first, fate in fates.items() if fate == "waits"]
    return next((first for first in reversed(waiting) if errands[first].withdraw()), None)
