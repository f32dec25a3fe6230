"""video -> its faces and tracks in figures: decode, detect and track, without a job."""

from __future__ import annotations

from prefect import flow

from faceswap_core import layout
from faceswap_core.config_scan import ScanSettings
from faceswap_core.config_track import Choice
from faceswap_core.faces.detectors import fallback_note, installed
from faceswap_core.stages.decode import video_ref
from faceswap_core.stages.report import source_damage
from faceswap_core.stages.scan import scan_figures
from faceswap_core.storage import Workspace
from faceswap_core.types import Json
from flows.gather import gather
from flows.outcome import last_words
from flows.preflight import check_scan
from flows.record import recorded
from flows.report import environment, write_figures
from tasks import progress
from tasks.faceset import decode_frames, detect_faces, part_name, plan_video, track_faces
from tasks.options import job_runner
from tasks.tally import Tally, counting

_SUBJECT = "face"
"""Name of whoever is alone; nobody is to be swapped here."""


@flow(name="scan-faces", flow_run_name="{settings.name}", persist_result=False)
def scan_video(settings: ScanSettings) -> Json:
    """Find and follow every face of a video.

    Args:
        settings: The video and how to search it.

    Returns:
        run, report, computed, cached and seconds of the run, and its figures (`stages.scan.scan_figures`).
    """
    check_scan(settings)
    asked = settings.detect
    settings = settings.model_copy(update={"detect": installed(asked)})
    tally = Tally()
    with recorded(settings) as run, counting(tally), job_runner(str(settings.workspace), settings.runtime):
        report = _scanned(settings, tally)
        report["faces"] |= fallback_note(asked, settings.detect)
        path = write_figures(run, report)
        result = {**last_words(run, None, report, path), **report["faces"]}
        progress.publish_result(result)
        return result


def _scanned(settings: ScanSettings, tally: Tally) -> Json:
    workspace, source = str(settings.workspace), video_ref(settings.video)
    (plan,) = gather([plan_video.submit(workspace, source, settings.decode)])
    for stage in (layout.FRAMES, layout.DETECTIONS, layout.TRACKS):
        progress.expect(stage, plan["rows"])
    decoding = [decode_frames.submit(workspace, source, plan, i, settings.decode) for i in range(plan["chunks"])]
    detecting = [
        detect_faces.submit(workspace, source, i, future, settings.detect, None, settings.runtime, return_state=False)
        for i, future in enumerate(decoding)
    ]
    frames = gather(decoding, lambda i, ref: progress.finished(layout.FRAMES, part_name(source, i), ref["rows"]))
    found = gather(
        detecting, lambda i, _: progress.finished(layout.DETECTIONS, part_name(source, i), frames[i]["rows"])
    )
    (tracks,) = gather([track_faces.submit(workspace, frames, found, _SUBJECT, settings.track, Choice())])
    progress.finished(layout.TRACKS, part_name(source, 0), plan["rows"])
    store = Workspace(settings.workspace)
    return {
        "faces": scan_figures(store, frames, found, tracks),
        "source_damage": source_damage(store, source, frames),
        "stages": tally.report(),
        "environment": environment(settings.runtime),
    }
