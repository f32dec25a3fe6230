"""job -> one part of it: what several machines share, each starting where the manifests of the workspace end.

What an earlier part has published is found in the workspace by its key, so that a part never does it again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from prefect import flow

from faceswap_core.config import JobSettings
from faceswap_core.faces.detectors import installed
from faceswap_core.stages.align import AlignedChunk
from faceswap_core.stages.consent import ConsentGate
from faceswap_core.types import Json
from flows.faceset import build_facesets
from flows.pipeline import aligned_sources, footage, granted, swap_video
from flows.preflight import check_job
from flows.record import recorded
from flows.training import train
from tasks import progress
from tasks.options import job_runner
from tasks.tally import Tally, counting

Work = Callable[[JobSettings, Mapping[Path, list[AlignedChunk]], ConsentGate], Json]


@flow(name="build-faceset", flow_run_name="faceset · {job.name}", persist_result=False)
def build_faceset(job: JobSettings, allow_test_consent: bool = False) -> Json:
    """Decode, search, track and align every video of a job.

    Args:
        job: Everything the job file says.
        allow_test_consent: Whether records of kind ``test`` count.

    Returns:
        run, faces of each video, computed, cached and seconds.
    """
    return _part(job, lambda _job, _aligned, _gate: {}, allow_test_consent)


@flow(name="train-network", flow_run_name="train · {job.name}", persist_result=False)
def train_network(job: JobSettings, force: bool = False, allow_test_consent: bool = False) -> Json:
    """Train the network of a job, after its facesets.

    Args:
        job: Everything the job file says.
        force: Whether to train where it was refused for its cost.
        allow_test_consent: Whether records of kind ``test`` count.

    Returns:
        run, faces of each video, path of the weights, computed, cached and seconds.
    """
    check_job(job.with_absolute_paths(Path.cwd()), force=force, allow_test_consent=allow_test_consent)

    def work(job: JobSettings, aligned: Mapping[Path, list[AlignedChunk]], gate: ConsentGate) -> Json:
        return {"weights": train(job, aligned, gate.check("training"))["weights"]["path"]}

    return _part(job, work, allow_test_consent)


@flow(name="convert-plate", flow_run_name="convert · {job.name}", persist_result=False)
def convert_plate(job: JobSettings, checkpoint: Path, allow_test_consent: bool = False) -> Json:
    """Swap a plate with a finished network; nothing is trained.

    Args:
        job: Everything the job file says.
        checkpoint: Folder of the finished network.
        allow_test_consent: Whether records of kind ``test`` count.

    Returns:
        run, output, report, computed, cached and seconds of the run.
    """
    trained = job.train.model_copy(update={"model": checkpoint.absolute()})
    return swap_video(job.model_copy(update={"train": trained}), allow_test_consent=allow_test_consent)


@flow(name="evaluate-job", flow_run_name="evaluate · {job.name}", persist_result=False)
def evaluate_job(job: JobSettings, force: bool = False, allow_test_consent: bool = False) -> Json:
    """Judge the swap of a job, against its ground truth where it names one; what is not there yet is made first.

    Args:
        job: Everything the job file says.
        force: Whether to run a job that was refused for its cost.
        allow_test_consent: Whether records of kind ``test`` count.

    Returns:
        run, output, report, computed, cached and seconds of the run; quality and truth as in report.json.
    """
    result = swap_video(job, force=force, allow_test_consent=allow_test_consent, judge_identity=True)
    report = json.loads(Path(result["report"]).read_text())
    judged = {**result, **{name: report[name] for name in ("quality", "truth")}}
    progress.publish_result(judged)
    return judged


def _part(job: JobSettings, work: Work, allow_test_consent: bool) -> Json:
    job = job.with_absolute_paths(Path.cwd())
    gate = ConsentGate(job, allow_test=allow_test_consent)
    job = job.model_copy(update={"detect": installed(job.detect)})
    tally = Tally()
    with recorded(job) as run, counting(tally), job_runner(str(job.workspace), job.runtime.workers):
        facesets = build_facesets(job, footage(job), run, granted(job, gate))
        made = work(job, aligned_sources(job, facesets), gate)
        stages = tally.report().values()
        result: Json = {
            "run": run.run_id,
            "faces": {str(video): faceset.faces for video, faceset in facesets.items()},
            **made,
            "computed": sum(stage["computed"] for stage in stages),
            "cached": sum(stage["cached"] for stage in stages),
            "seconds": round(run.seconds, 3),
        }
        progress.publish_result(result)
        return result
