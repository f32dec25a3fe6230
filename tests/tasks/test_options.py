import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from prefect.serializers import PickleSerializer

from faceswap_core.config import DetectSettings, EncodeSettings, RuntimeSettings, TrackSettings, TrainSettings
from faceswap_core.errors import DiskFullError, MediaError, ResourceError
from faceswap_core.manifest import publish
from faceswap_core.schemas import CHUNKS
from faceswap_core.storage import Workspace
from tasks import options, records
from tasks.options import StageKey

VIDEO = {"path": "/a/plate.mp4", "sha256": "0" * 64, "size": 10}


def key(stage="detect-faces", version=1, **inputs):
    given = {"workspace": "nowhere", "video": VIDEO, "chunk_index": 0, "settings": DetectSettings()}
    return StageKey(stage, version).key_of({**given, **inputs})


def test_key_ignores_where_and_how_fast():
    other = {"workspace": "/elsewhere", "runtime": RuntimeSettings(workers=7), "progress": print}
    assert key(runtime=RuntimeSettings()) == key(**other)


def test_key_ignores_the_path_of_a_video():
    assert key(video={**VIDEO, "path": "/b/copy.mp4"}) == key()


@pytest.mark.parametrize(
    "change",
    [
        {"video": {**VIDEO, "sha256": "1" * 64}},
        {"chunk_index": 1},
        {"settings": DetectSettings(min_face=0.2)},
        {"settings": TrackSettings()},
        {"version": 2},
        {"stage": "track-faces"},
        {"before": [{"path": "x", "sha256": "2" * 64}]},
    ],
)
def test_key_changes_with_whatever_the_result_depends_on(change):
    assert key(**change) != key()


def test_key_looks_into_lists_and_nested_references():
    def chunks(digest):
        return [{"aligned": {"path": "p", "sha256": digest}, "masks": {"path": "q", "sha256": "b"}}]

    assert key(side_a=chunks("a")) != key(side_a=chunks("c"))
    assert key(side_a=chunks("a")) == key(side_a=[{**chunks("a")[0], "masks": {"path": "other", "sha256": "b"}}])


def test_key_of_detection_covers_the_weights_of_its_detector():
    with_weights = StageKey("detect-faces", 1, options.detector_digests).key_of({"settings": DetectSettings()})
    assert with_weights != StageKey("detect-faces", 1).key_of({"settings": DetectSettings()})
    mtcnn = {"mtcnn-pnet", "mtcnn-rnet", "mtcnn-onet"}
    assert set(options.detector_digests({"settings": DetectSettings(backend="mtcnn")})) == mtcnn
    assert set(options.detector_digests({"settings": DetectSettings(backend="builtin")})) == {*mtcnn, "facemesh"}
    assert options.detector_digests({"settings": DetectSettings(backend="truth")}) == {}


def test_key_of_detection_covers_the_bytes_of_a_users_network_and_not_its_place(tmp_path):
    def key_of(path):
        settings = DetectSettings(backend="yunet", model_file=path)
        return StageKey("detect-faces", 1, options.detector_digests).key_of({"settings": settings})

    for name, data in (("a/net.onnx", b"one"), ("b/net.onnx", b"one"), ("c/net.onnx", b"two")):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(data)
    assert key_of(tmp_path / "a/net.onnx") == key_of(tmp_path / "b/net.onnx") != key_of(tmp_path / "c/net.onnx")


def test_key_of_detection_covers_every_file_of_a_pack_and_where_its_networks_run(tmp_path, monkeypatch):
    def key_of(device="cpu"):
        settings = DetectSettings(backend="insightface", pack=str(tmp_path))
        given = {"settings": settings, "runtime": RuntimeSettings(device=device)}
        return StageKey("detect-faces", 1, options.detector_digests).key_of(given)

    for name in ("a.onnx", "b.onnx"):
        (tmp_path / name).write_bytes(name.encode())
    before = key_of()
    assert key_of() == before
    (tmp_path / "b.onnx").write_bytes(b"other")
    assert key_of() != before
    monkeypatch.setattr(options, "providers_for", lambda device: [device])
    assert key_of("cpu") != key_of("cuda")


def test_key_of_encoding_covers_the_versions_of_the_encoder(monkeypatch):
    policy = StageKey("reencode-chunk", 1, options.encoder_digests)
    before = policy.key_of({"encode": EncodeSettings()})
    assert any(name.startswith("libx264") for name in options.encoder_digests({})["encoder"])
    monkeypatch.setattr(options, "_encoder_libraries", lambda: ("99.0", "libx264-new.so.999"))
    assert policy.key_of({"encode": EncodeSettings()}) != before


def test_key_of_a_network_covers_the_kind_of_device():
    runtime = RuntimeSettings(device="cpu")
    assert options.device_digests({"runtime": runtime}) == {"device": "cpu", "precision": None}


def test_key_of_a_training_covers_the_arithmetic_that_auto_stands_for():
    inputs = {"runtime": RuntimeSettings(device="cpu"), "settings": TrainSettings(precision="auto")}
    assert options.device_digests(inputs)["precision"] in ("fp32", "bf16")
    inputs["settings"] = TrainSettings(precision="fp32")
    assert options.device_digests(inputs) == {"device": "cpu", "precision": "fp32"}


def test_key_of_a_training_covers_the_weights_to_begin_with_and_not_their_place(monkeypatch):
    policy, found = StageKey("training", 1, options.training_digests), {"one": "1", "moved": "1", "other": "2"}
    monkeypatch.setattr(options, "finished_weights", lambda path: {"sha256": found[path.name]})

    def key(name):
        settings = TrainSettings(precision="fp32", start_from=Path(name))
        return policy.key_of({"runtime": RuntimeSettings(device="cpu"), "settings": settings})

    assert key("one") == key("moved") != key("other")


# --- records ---------------------------------------------------------------------------------------------------


class Stored:
    """One published file and the record that promises it."""

    def __init__(self, root: Path):
        self.root = root
        self.inputs = {"workspace": str(root), "settings": DetectSettings()}
        self.policy = StageKey("detect-faces", 1)
        self.key = self.policy.key_of(self.inputs)
        self.ref = Workspace(root).publish_bytes("detect-faces", "detections-0000", ".bin", b"faces")
        self.record = records.results_folder(str(root)) / self.key
        self.record.parent.mkdir()
        self.write(self.ref)

    def write(self, result, **metadata):
        serializer = records.PLAIN_JSON.model_dump(mode="json")
        self.record.write_text(
            json.dumps({"metadata": {"serializer": serializer, **metadata}, "result": json.dumps(result)})
        )

    def looked_up(self):
        assert self.policy.compute_key(None, self.inputs, {}) == self.key
        return self.record.exists()


@pytest.fixture
def stored(tmp_path):
    return Stored(tmp_path)


def test_a_whole_record_is_a_hit(stored):
    assert stored.looked_up()


def test_a_record_is_removed_when_its_file_is_gone(stored):
    (stored.root / stored.ref["path"]).unlink()
    assert not stored.looked_up()


def test_a_record_is_removed_when_its_file_was_altered(stored):
    (stored.root / stored.ref["path"]).write_bytes(b"other")
    assert not stored.looked_up()


def test_every_nested_reference_must_hold(stored):
    gone = {"path": "masks/gone.bin", "sha256": "0" * 64}
    stored.write([{"aligned": stored.ref, "masks": gone}])
    assert not stored.looked_up()


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"\x80\x04not json",
        b"[]",
        b'"text"',
        b"{}",
        b'{"metadata": null, "result": "1"}',
        b'{"metadata": {"serializer": "json"}, "result": "1"}',
        b"[" * 100_000,
    ],
)
def test_garbage_is_removed_and_never_raises(stored, garbage):
    stored.record.write_bytes(garbage)
    assert not stored.looked_up()


def test_a_result_that_is_garbage_is_removed(stored):
    stored.write({"path": 3, "sha256": None})
    assert not stored.looked_up()
    stored.write({"path": "../../etc/passwd", "sha256": "0" * 64, "schema": "chunks/1"})
    assert not stored.looked_up()


def test_a_record_may_not_name_another_decoder(stored):
    serializer = {**records.PLAIN_JSON.model_dump(mode="json"), "object_decoder": "os.system"}
    stored.write(stored.ref, serializer=serializer)
    assert not stored.looked_up()


def test_a_repeated_key_cannot_hide_another_serializer(stored):
    text = stored.record.read_text()
    assert text.startswith('{"metadata": {"serializer": ')
    twice = '{"metadata": {"serializer": {"type": "pickle"}}, "metadata": '
    stored.record.write_text(text.replace('{"metadata": ', twice, 1))
    assert not stored.looked_up()


def test_no_key_is_given_for_a_bad_record_that_cannot_be_removed(stored):
    stored.record.unlink()
    stored.record.mkdir()
    assert stored.policy.compute_key(None, stored.inputs, {}) is None


def test_a_chunks_manifest_is_a_hit_only_with_its_encoded_chunk(stored):
    workspace = Workspace(stored.root)
    chunk = workspace.publish_bytes("chunks", "chunk-0000", ".mp4", b"video")
    row = {"chunk_index": 0, "path": chunk["path"], "sha256": chunk["sha256"], "frames": 1, "states": []}
    stored.write(publish(workspace, "chunks", "chunk-0000", CHUNKS, [row]))
    assert stored.looked_up()
    (stored.root / chunk["path"]).unlink()
    assert not stored.looked_up()


class Planted:
    """Runs code when unpickled."""

    def __init__(self, mark: Path):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


def test_a_planted_pickle_never_runs(stored):
    mark = stored.root / "code-ran"
    pickled = PickleSerializer(picklelib="pickle").dumps(Planted(mark)).decode()
    serializer = PickleSerializer(picklelib="pickle").model_dump(mode="json")
    planted = json.dumps({"metadata": {"serializer": serializer}, "result": pickled})
    stored.record.write_text(planted)
    assert not stored.looked_up()
    assert not mark.exists()

    from prefect.filesystems import LocalFileSystem
    from prefect.results import ResultStore

    stored.record.write_text(planted)  # and this is what would happen without the check
    store = ResultStore(result_storage=LocalFileSystem(basepath=str(stored.record.parent)))
    store.exists(stored.key)
    assert mark.exists()


def test_the_folder_of_records_is_private(tmp_path):
    folder = records.results_folder(str(tmp_path))
    assert folder == tmp_path / ".prefect-results"


# --- retries ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (ResourceError("busy"), True),
        (OSError(5, "input/output error"), True),
        (OSError(28, "no space left"), False),
        (DiskFullError("full"), False),
        (MediaError("no video"), False),
        (ValueError("a bug"), False),
    ],
)
def test_only_passing_faults_are_tried_again(error, again):
    class State:
        data = error

    assert options.worth_another_try(None, None, State()) is again


def test_tasks_bear_the_names_of_the_design():
    code = (
        "import tasks.faceset as f, tasks.training as t, tasks.convert as c, tasks.evaluate as e, tasks.actor as a,"
        " tasks.handoff as h;"
        "from prefect import Task;"
        "print(*sorted({v.name for m in (f, t, c, e, a, h) for v in vars(m).values() if isinstance(v, Task)}))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert set(out.split()) == {
        "plan-video",
        "decode-frames",
        "detect-faces",
        "track-faces",
        "contact-sheet",
        "embed-reference",
        "align-landmarks",
        "import-images",
        "make-masks",
        "normalize-color",
        "train-model",
        "swap-frames",
        "smooth-frames",
        "reencode-chunk",
        "encode-stream",
        "assemble-video",
        "sign-video",
        "sign-folder",
        "verify-video",
        "export-patches",
        "export-images",
        "deliver-folder",
        "verify-folder",
        "evaluate-swap",
        "swap-unsmoothed",
        "measure-quality",
        "train-identity-judge",
        "draw-preview",
        "render-actor",
    }
