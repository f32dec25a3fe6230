"""video -> the same video encoded anew and checked: how a file fares through the video stages alone."""

from __future__ import annotations

from pathlib import Path

from prefect import flow

from faceswap_core import layout
from faceswap_core.config import BlendSettings
from faceswap_core.config_recode import RecodeSettings
from faceswap_core.stages.decode import video_ref
from faceswap_core.stages.report import source_damage, state_counts
from faceswap_core.stages.verify import video_report
from faceswap_core.storage import Workspace
from faceswap_core.types import FileRef, Json, ManifestRef
from flows.gather import gather
from flows.outcome import judge, last_words
from flows.preflight import check_recode
from flows.record import recorded
from flows.report import environment, write_figures
from tasks import progress
from tasks.convert import assemble_video, encode_stream, reencode_chunk, verify_video
from tasks.faceset import decode_frames, part_name, plan_video
from tasks.options import job_runner
from tasks.tally import Tally, counting


@flow(name="recode-video", flow_run_name="{settings.name}", persist_result=False)
def recode_video(settings: RecodeSettings) -> Json:
    """Decode, encode, assemble and verify a video, and change nothing in it.

    Args:
        settings: Source, output and how to encode.

    Returns:
        run, output, report, computed, cached and seconds of the run.
    """
    check_recode(settings)
    tally = Tally()
    with recorded(settings) as run, counting(tally), job_runner(str(settings.workspace), settings.runtime):
        output, report = _recoded(settings, tally)
        result = last_words(run, output, report, write_figures(run, report))
        progress.publish_result(result)
        judge(output, report)
        return result


def _recoded(settings: RecodeSettings, tally: Tally) -> tuple[Path, Json]:
    """The file that was written, and the report."""
    workspace, source = str(settings.workspace), video_ref(settings.video)
    frames, chunks = _encoded(settings, source)
    (assembled,) = gather([assemble_video.submit(workspace, source, frames, chunks, str(settings.output))])
    output = settings.output.with_name(Path(assembled["video"]["path"]).name)  # with the suffix that was chosen
    Workspace(workspace).bring(assembled["video"], output)
    checking = verify_video.submit(workspace, source, frames, assembled["video"], assembled["not_carried"])
    (checks,) = gather([checking])
    store = Workspace(settings.workspace)
    return output, {
        "frames": state_counts(store, chunks) | {"source_damage": source_damage(store, source, frames)},
        "stages": tally.report(),
        "video": video_report(store, checks) | {"encoding": assembled["encoding"]},
        "environment": environment(settings.runtime),
    }


def _encoded(settings: RecodeSettings, source: FileRef) -> tuple[list[ManifestRef], list[ManifestRef]]:
    """FRAMES and CHUNKS; a chunk is encoded while later ones are decoded, or all in one go at an average rate."""
    workspace, encode = str(settings.workspace), settings.encode
    (plan,) = gather([plan_video.submit(workspace, source, settings.decode)])
    by_chunk = encode.bitrate is None
    for stage in (layout.FRAMES, "reencode-chunk" if by_chunk else "encode-stream"):
        progress.expect(stage, plan["rows"])
    decoding = [decode_frames.submit(workspace, source, plan, i, settings.decode) for i in range(plan["chunks"])]
    encoding = [
        reencode_chunk.submit(workspace, source, i, future, None, BlendSettings(), encode, return_state=False)
        for i, future in enumerate(decoding if by_chunk else [])
    ]

    def decoded(i: int, frames: ManifestRef) -> None:
        progress.finished(layout.FRAMES, part_name(source, i), frames["rows"])

    frames = gather(decoding, decoded)
    if not by_chunk:
        return frames, gather([encode_stream.submit(workspace, source, frames, None, BlendSettings(), encode)])
    return frames, gather(encoding, lambda i, _: progress.finished("reencode-chunk", str(i), frames[i]["rows"]))
