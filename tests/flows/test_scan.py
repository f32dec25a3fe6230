import json

import pytest
from conftest import faceswap
from typer.testing import CliRunner

from faceswap_core.config import DetectSettings
from faceswap_core.faces.detectors import installed
from flows.cli import app

CHUNKS = ("--set", "decode.chunk_frames=10")
BACKEND = installed(DetectSettings()).backend
FIGURES = {
    *("frames", "found", "faces_per_frame", "tracks"),
    *("jitter_before", "jitter_after", "ms_per_frame", "backend"),
}


@pytest.fixture(scope="module")
def first(server, clips, tmp_path_factory):
    return faceswap("faces", "scan", clips["second"], "--workspace", tmp_path_factory.mktemp("scan"), *CHUNKS)


def workspace_of(done):
    return done.last["report"].split("/runs/")[0]


@pytest.mark.flow
class TestScan:
    def test_the_last_line_tells_of_faces_tracks_steadiness_and_cost(self, first):
        assert first.code == 0, first.stderr
        last = first.last
        assert last["event"] == "done"
        assert set(last) >= FIGURES
        assert (last["frames"], last["found"], last["faces_per_frame"], last["tracks"]) == (20, 20, 1.0, 1)
        assert 0 <= last["jitter_after"] < last["jitter_before"] < 0.1
        assert last["ms_per_frame"] > 0
        assert last["backend"] == BACKEND
        assert first.report["faces"] == {name: last[name] for name in first.report["faces"]}

    def test_the_same_command_again_computes_nothing_and_keeps_its_figures(self, first, clips):
        again = faceswap("faces", "scan", clips["second"], "--workspace", workspace_of(first), *CHUNKS)
        assert again.code == 0, again.stderr
        assert again.last["computed"] == 0
        assert {name: again.last[name] for name in FIGURES} == {name: first.last[name] for name in FIGURES}

    def test_without_the_mesh_mtcnn_works_alone_and_the_last_line_says_so(self, first, clips, tmp_path):
        done = faceswap(
            *("faces", "scan", clips["second"], "--workspace", workspace_of(first), *CHUNKS),
            FACESWAP_MODELS=str(tmp_path),
        )
        assert done.code == 0, done.stderr
        assert (done.last["backend"], done.last["found"]) == ("mtcnn", 20)
        assert "faceswap models pull facemesh" in done.last["backend_note"]
        assert done.computed == ({"detect-faces": 2, "track-faces": 1} if BACKEND == "builtin" else {})


def scan(*arguments):
    result = CliRunner().invoke(app, ["faces", "scan", *map(str, arguments), "--json"])
    return result.exit_code, json.loads(result.stdout.splitlines()[-1])["message"]


def test_a_missing_video_ends_with_4(tmp_path):
    code, said = scan(tmp_path / "none.mp4", "--workspace", tmp_path / "ws")
    assert code == 4
    assert "none.mp4" in said


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--backend", "haar"), "detect.backend"),
        (("--backend", "truth"), "no detector"),
        (("--set", "video=x.mp4"), "video"),
        (("--set", "align.size=64"), "align"),
    ],
)
def test_settings_are_checked(tmp_path, given, said):
    (tmp_path / "clip.mp4").write_bytes(b"0")
    code, message = scan(tmp_path / "clip.mp4", "--workspace", tmp_path / "ws", *given)
    assert code == 2
    assert said in message


def test_an_altered_model_file_ends_with_3_before_any_work(tmp_path, monkeypatch):
    (tmp_path / "facemesh").mkdir()
    (tmp_path / "facemesh" / "face_landmark.tflite").write_bytes(b"0" * 100)
    (tmp_path / "clip.mp4").write_bytes(b"0")
    monkeypatch.setenv("FACESWAP_MODELS", str(tmp_path))
    code, said = scan(tmp_path / "clip.mp4", "--workspace", tmp_path / "ws")
    assert code == 3
    assert "faceswap models pull facemesh" in said
    assert not (tmp_path / "ws" / "runs").exists()
