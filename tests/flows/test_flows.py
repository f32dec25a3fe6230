import json
from pathlib import Path

import pytest
import yaml

from faceswap_core.config import JobSettings, TrainSettings
from faceswap_core.errors import FaceswapError, PartialError
from faceswap_core.jobfile import load_job
from faceswap_core.stages.consent import read_signed
from faceswap_core.trust.consent import read_record
from flows import pipeline
from flows.demo import Demo, clips, write_job
from flows.faceset import exact_truth
from flows.gather import gather
from flows.outcome import judge
from flows.preflight import cpu_hours

ROOT = Path(__file__).parents[2]


def job(**plate):
    return JobSettings(
        name="x",
        workspace="/w",
        plate={"video": "/p.mp4", "subject": "a", **plate},
        subjects={"a": {"videos": ["/a.mp4"]}, "b": {"videos": ["/b.mp4"]}},
        swap={"to": "b"},
        output={"video": "/o.mp4"},
    )


def test_each_video_is_analysed_once():
    assert pipeline.footage(job()) == {Path("/p.mp4"): "a", Path("/a.mp4"): "a", Path("/b.mp4"): "b"}


def test_with_a_finished_model_only_the_plate_is_analysed():
    named = job().model_copy(update={"train": TrainSettings(model="./ws/checkpoints/x")})
    assert pipeline.footage(named) == {Path("/p.mp4"): "a"}


class Future:
    def __init__(self, value=None, error=None, kind="failed"):
        self.value, self.error, self.kind, self.waited = value, error, kind, False
        self.state = self

    def wait(self):
        self.waited = True

    def is_completed(self):
        return self.error is None

    def is_failed(self):
        return self.kind == "failed"

    def result(self, raise_on_failure=True):
        if self.error:
            raise self.error
        return self.value


def test_gathering_waits_for_all_and_raises_the_error_as_it_was():
    upstream = Future(error=RuntimeError("upstream"), kind="pending")
    futures = [Future(1), upstream, Future(error=PartialError("x")), Future(4)]
    with pytest.raises(PartialError):
        gather(futures)
    assert all(future.waited for future in futures)


def test_gathering_keeps_the_order():
    told = []
    assert gather([Future(1), Future(2)], lambda i, value: told.append((i, value))) == [1, 2]
    assert told == [(0, 1), (1, 2)]


def report(failed=0, wrong=()):
    return {"video": {"failed_checks": list(wrong)}, "frames": {"failed": failed, "total": 9, "reasons": {}}}


def test_failed_frames_make_a_partial_result():
    with pytest.raises(PartialError) as caught:
        judge(Path("out.mp4"), report(failed=2))
    assert caught.value.exit_code == 6


def test_a_failed_verification_is_a_failure_that_says_what():
    with pytest.raises(FaceswapError, match="pts_equal: largest error") as caught:
        judge(Path("out.mp4"), report(wrong=["pts_equal: largest error 1 s"]))
    assert caught.value.exit_code == 1


def test_the_cost_of_a_training_grows_with_its_size():
    draft, standard = (cpu_hours(TrainSettings(preset=p), cores=2) for p in ("draft", "standard"))
    assert draft < 0.1
    assert 20 < standard < 200


def test_the_demo_writes_a_job_that_can_be_read(tmp_path):
    demo = Demo(iterations=7)
    made = {part: {"video": {"path": str(tmp_path / "actors" / f"{part}.mp4")}} for part in clips(demo)}
    for clip in made.values():
        clip["video"]["sha256"] = "5" * 64
    path = write_job(tmp_path, made, demo)
    read = load_job(path)
    assert str(tmp_path) not in path.read_text()
    assert read.plate.video == tmp_path / "actors" / "plate.mp4"
    assert all(read_record(read_signed(s.consent), "").kind == "synthetic" for s in read.subjects.values())
    assert (read.train.iterations, read.decode.chunk_frames, read.plate.plate_for_training) == (7, 60, False)


def test_the_truth_of_the_demo_differs_from_its_plate_in_the_person_alone():
    made = clips(Demo(actor_a=1, actor_b=2, seed=5))
    assert made["truth"] == made["plate"].model_copy(update={"identity": 2})
    scripts = {part: [made[part + n].performance for n in "12"] for part in "ab"}
    assert scripts["a"] == scripts["b"]  # both learn from the same scripts
    assert made["plate"].performance not in scripts["a"]  # and the plate is seen by neither


def test_the_truth_of_a_clip_is_named_beside_it(tmp_path):
    video = {"path": str(tmp_path / "v.mp4"), "sha256": "0", "size": 1}
    assert exact_truth(video) is None
    ref = {"path": "t.parquet", "sha256": "1", "rows": 3, "schema": "truth/1"}
    (tmp_path / "v.mp4.truth.json").write_text(json.dumps(ref))
    assert exact_truth(video) == ref
    (tmp_path / "v.mp4.truth.json").write_text("[]")
    with pytest.raises(FaceswapError, match="names no TRUTH"):
        exact_truth(video)


def test_the_deployment_names_the_flow_and_its_form_is_usable():
    deployments = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    deployment = next(d for d in deployments if d["name"] == "swap-video")
    module, name = deployment["entrypoint"].split(":")
    assert (module, name) == ("flows/pipeline.py", pipeline.swap_video.fn.__name__)
    schema = pipeline.swap_video.parameters.model_dump()
    assert schema["required"] == ["job"]
    encode = schema["definitions"]["EncodeSettings"]["properties"]
    assert "draft" in encode["preset"]["enum"]
    assert encode["crf"]["anyOf"][0]["maximum"] == 51
    assert all("description" in field for field in encode.values())
