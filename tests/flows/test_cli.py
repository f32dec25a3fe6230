import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import FACESWAP
from typer.testing import CliRunner

from faceswap_core.errors import ConsentError
from faceswap_core.stages.consent import write_signed
from flows.cli import app
from tests.jobs import job_text, new_consent

NOTHING_OF_A = {"subjects.a.videos": []}


@pytest.fixture
def job(tmp_path):
    (tmp_path / "plate.mp4").write_bytes(b"0")
    path = tmp_path / "job.toml"
    path.write_text(job_text(NOTHING_OF_A))
    return path


def run(*arguments):
    result = CliRunner().invoke(app, ["run", *map(str, arguments), "--json"])
    return result.exit_code, json.loads(result.stdout.splitlines()[-1])


def test_an_unknown_setting_ends_with_2_and_its_name(job):
    code, event = run(job, "--set", "train.speed=9")
    assert (code, event["event"], event["exit_code"]) == (2, "error", 2)
    assert "'train.speed'" in event["message"]


def test_a_job_file_that_is_not_there_ends_with_2(tmp_path):
    assert run(tmp_path / "none.toml")[0] == 2


def test_a_single_subject_ends_with_2(job):
    job.write_text(job_text({**NOTHING_OF_A, "subjects.b.videos": None, "swap.to": "a"}))
    code, event = run(job)
    assert code == 2
    assert "two subjects" in event["message"]


def test_a_subject_without_footage_ends_with_2(job):
    code, event = run(job, "--set", "subjects.b.videos=[]")
    assert code == 2
    assert "'b' has nothing to train on" in event["message"]


def test_a_missing_plate_ends_with_4(job):
    (job.parent / "plate.mp4").unlink()
    assert run(job)[0] == 4


@pytest.mark.parametrize("preset", ["standard", "master"])
def test_large_presets_are_refused_on_a_cpu_with_an_estimate(job, preset):
    code, event = run(job, "--set", f"train.preset={preset}", "--set", "runtime.device=cpu")
    assert code == 2
    assert "hours" in event["message"]
    assert "--force" in event["message"]
    assert not (job.parent / "ws").exists()


def test_a_missing_pack_ends_with_3_and_the_command_that_brings_it(job, tmp_path, monkeypatch):
    monkeypatch.setenv("FACESWAP_MODELS", str(tmp_path / "store"))
    code, event = run(job, "--set", "detect.backend=insightface")
    assert code == 3
    assert "`faceswap models pull buffalo_l --accept-noncommercial`" in event["message"]
    assert not (tmp_path / "store").exists()
    assert not (job.parent / "ws").exists()


def test_a_damaged_network_ends_with_3_before_any_work(job, tmp_path):
    (tmp_path / "det.onnx").write_bytes(b"damaged")
    code, event = run(job, "--set", "detect.backend=insightface", "--set", f"detect.pack={tmp_path}")
    assert code == 3
    assert "det.onnx cannot be loaded" in event["message"]
    assert not (job.parent / "ws").exists()


def test_yunet_without_a_network_ends_with_2(job):
    code, event = run(job, "--set", "detect.backend=yunet")
    assert code == 2
    assert "detect.model_file" in event["message"]


def test_the_plate_is_never_overwritten(job):
    assert run(job, "--set", "output.video=plate.mp4")[0] == 2


def test_our_errors_show_no_traceback_unless_asked(job):
    command = [*FACESWAP, "run", str(job), "--set", "x.y=1"]
    plain = subprocess.run(command, capture_output=True, text=True, check=False)
    assert plain.returncode == 2
    assert plain.stderr.startswith("error: ")
    assert "Traceback" not in plain.stderr
    debug = subprocess.run([*command, "--debug"], capture_output=True, text=True, check=False)
    assert "Traceback" in debug.stderr


def test_help_is_quick_and_imports_neither_prefect_nor_torch():
    code = (
        "import sys, contextlib\nfrom flows.cli import app\n"
        "with contextlib.suppress(SystemExit):\n    app(['--help'])\n"
        "sys.exit(bool({'prefect', 'torch', 'cv2', 'pydantic', 'pyarrow'} & set(sys.modules)))"
    )
    began = time.perf_counter()
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert time.perf_counter() - began < 3  # half a second on an idle machine
    assert shown.returncode == 0
    assert "demo" in shown.stdout


def test_ready_jobs_are_valid():
    from faceswap_core.jobfile import load_job

    jobs = sorted((Path(__file__).parents[2] / "jobs").glob("*.toml"))
    assert jobs
    assert all(load_job(path).workspace.is_absolute() for path in jobs)


def settings_of(tmp_path):
    for name in ("plate", "a", "b"):
        (tmp_path / f"{name}.mp4").write_bytes(name.encode())
    job = tmp_path / "job.toml"
    job.write_text(job_text())
    return job


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("output.video=a.mp4", "reads"),
        ("output.video=sub/../plate.mp4", "reads"),
        ("output.video=out.xyz", "cannot write"),
        ('output={kind="patches", folder="."}', "holds the workspace"),
        ('output={kind="patches", folder="sub"}', "no run of this program"),
        ('output={kind="image_sequence", folder="plate.mp4"}', "is no folder"),
        ("train.model=gan", "train.model_name"),
        ("train.model=./nowhere", "no finished training"),
        ('subjects.b.videos=["a.mp4"]', "both"),
    ],
)
def test_a_job_that_cannot_end_well_is_refused_before_any_work(tmp_path, change, said):
    from faceswap_core.errors import SettingsError
    from faceswap_core.jobfile import load_job
    from flows.preflight import check_job

    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "notes.txt").write_text("work of days")
    with pytest.raises(SettingsError, match=said):
        check_job(load_job(settings_of(tmp_path), [change]), force=False)


@pytest.mark.parametrize(("loss", "said"), [("vgg", "curl .* train.vgg_sha256"), ("arcface", "models pull buffalo_l")])
def test_a_loss_without_its_weights_is_refused_with_the_command_that_gets_them(tmp_path, monkeypatch, loss, said):
    from faceswap_core.errors import ModelMissingError
    from faceswap_core.jobfile import load_job
    from faceswap_core.modelstore import STORE_VARIABLE
    from flows.preflight import check_job

    monkeypatch.setenv(STORE_VARIABLE, str(tmp_path / "store"))
    with pytest.raises(ModelMissingError, match=said) as caught:
        check_job(load_job(settings_of(tmp_path), [f"train.losses.{loss}=0.1"]), force=False)
    assert caught.value.exit_code == 3


def granted(tmp_path, *changes):
    """A job whose people have agreed."""
    from faceswap_core.jobfile import load_job

    for name in "ab":
        write_signed(tmp_path / f"{name}.json", new_consent(name, kind="test", project="tiny"))
    records = [f"subjects.{name}.consent={name}.json" for name in "ab"]
    return load_job(settings_of(tmp_path), [*records, "provenance.purpose=dubbing", *changes])


def test_a_sound_job_is_not_refused(tmp_path):
    from flows.preflight import check_job

    job = granted(tmp_path)
    check_job(job, force=False, allow_test_consent=True)
    with pytest.raises(ConsentError, match="--allow-test-consent"):
        check_job(job, force=False)


def test_weights_to_begin_with_must_have_been_learnt_under_the_same_records(tmp_path):
    from dataclasses import asdict

    from faceswap_core.models import MODELS, Build
    from faceswap_core.models.checkpoint import save_weights
    from faceswap_core.stages.consent import ConsentGate
    from flows.preflight import check_job

    path, build = tmp_path / "first.safetensors", Build(resolution=64, width=4, latent=8)
    job = granted(tmp_path, f"train.start_from={path}")
    colors = {name: {"mean": [0.0] * 3, "scale": [1.0] * 3, "shift": [0.0] * 3} for name in "ab"}
    facts = {"model": "original", "build": asdict(build), "sides": ["a", "b"], "colors": colors, "step": 1}
    facts |= {"coverage": job.align.coverage, "eye_distance": job.align.eye_distance, "centre": job.align.centre}
    grants = ConsentGate(job, allow_test=True).check("nothing")
    save_weights(path, MODELS["original"](build), facts | {"consents": grants})
    check_job(job, force=False, allow_test_consent=True)
    save_weights(path, MODELS["original"](build), facts | {"consents": {"a": grants["a"]}})
    with pytest.raises(ConsentError, match="was trained under the consent records"):
        check_job(job, force=False, allow_test_consent=True)
