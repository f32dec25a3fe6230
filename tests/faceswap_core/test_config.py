import time
import types
import typing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from faceswap_core import config
from faceswap_core.config import JobSettings, TrainSettings
from faceswap_core.config_branch import Branch
from faceswap_core.config_network import LOSS_WEIGHTS
from faceswap_core.config_training import TRAIN_PRESETS
from faceswap_core.errors import SettingsError
from faceswap_core.jobfile import MAX_JOB_BYTES, load_job, parse

JOB = """
name = "interview"
workspace = "work/interview"
[plate]
video = "plate.mp4"
subject = "a"
[subjects.a]
videos = ["a1.mp4"]
[subjects.b]
videos = ["b1.mp4", "b2.mp4"]
[swap]
to = "b"
[output]
video = "out/interview.mp4"
"""


@pytest.fixture
def write(tmp_path):
    def written(text=JOB, more=""):
        path = tmp_path / "job.toml"
        path.write_text(text + more)
        return path

    return written


def given_job():
    return {
        "name": "x",
        "workspace": "w",
        "plate": {"video": "p.mp4", "subject": "a"},
        "subjects": {"a": {}, "b": {}},
        "swap": {"to": "b"},
        "output": {"video": "o.mp4"},
    }


def refused(path, *overrides):
    with pytest.raises(SettingsError) as caught:
        load_job(path, overrides)
    assert caught.value.exit_code == 2
    return str(caught.value)


class TestJobFile:
    def test_smallest_job_has_all_defaults(self, write):
        job = load_job(write())
        assert job.name == "interview"
        assert job.seed == 0
        assert job.train == TrainSettings()
        assert job.training_videos("b") == (job.plate.video.parent / "b1.mp4", job.plate.video.parent / "b2.mp4")

    def test_every_path_is_made_absolute_from_the_folder_of_the_job(self, write, tmp_path, monkeypatch):
        text = JOB.replace('subject = "a"', 'subject = "a"\ntruth = "t.mp4"')
        text = text.replace('videos = ["a1.mp4"]', 'videos = ["a1.mp4"]\nconsent = "a.json"')
        path = write(text, '[train]\nmodel = "checkpoints/abc"\n')
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        job = load_job(Path("../job.toml"))
        found = {
            "workspace": job.workspace,
            "plate": job.plate.video,
            "truth": job.plate.truth,
            "a": job.subjects["a"].videos[0],
            "consent": job.subjects["a"].consent,
            "output": job.output.video,
            "model": job.train.model,
        }
        assert all(p.is_absolute() for p in found.values())
        wanted = ["work/interview", "plate.mp4", "t.mp4", "a1.mp4", "a.json", "out/interview.mp4", "checkpoints/abc"]
        assert [p.resolve() for p in found.values()] == [path.parent / name for name in wanted]

    def test_the_kind_of_output_chooses_what_is_written(self, write, tmp_path):
        path = write()
        assert load_job(path).output.path == tmp_path / "out" / "interview.mp4"
        for kind in ("patches", "image_sequence"):
            output = load_job(path, [f"output.kind={kind}", "output.folder=frames", "output.start_number=7"]).output
            assert (output.path, output.start_number) == (tmp_path / "frames", 7)

    def test_absolute_path_and_home_are_kept(self, write, monkeypatch):
        monkeypatch.setenv("HOME", "/home/me")
        job = load_job(write(JOB.replace('"plate.mp4"', '"/x/plate.mp4"').replace('"out/', '"~/out/')))
        assert job.plate.video == Path("/x/plate.mp4")
        assert job.output.video == Path("/home/me/out/interview.mp4")

    def test_home_of_nobody_is_refused(self, write):
        assert "unknown user" in refused(write(JOB.replace('"out/', '"~no-such-user/out/')))

    def test_files_of_losses_are_made_absolute_too(self, write, tmp_path):
        job = load_job(write(), ["train.vgg_file=vgg.safetensors", "train.arcface_file=~/a.onnx"])
        assert job.train.vgg_file == tmp_path / "vgg.safetensors"
        assert job.train.arcface_file.is_absolute()
        assert job.train.model is None

    def test_prefix_of_a_bucket_stays_what_it_is(self, write):
        job = load_job(write(JOB.replace('"work/interview"', '"s3://bucket/some/prefix/"')))
        assert job.workspace == "s3://bucket/some/prefix"
        assert JobSettings.model_validate(job.model_dump(mode="json")) == job

    @pytest.mark.parametrize("place", ["gs://bucket/prefix", "https://example.org/x", "s3:/bucket/prefix"])
    def test_workspace_on_another_store_is_refused_by_name(self, write, place):
        message = refused(write(JOB.replace('"work/interview"', f'"{place}"')))
        assert place in message
        assert "workspace" in message

    @pytest.mark.parametrize("key", ["plate.video", "train.model", "output.video", "detect.model_file"])
    def test_other_paths_in_a_bucket_are_refused_by_name(self, write, key):
        with pytest.raises(SettingsError, match="only the workspace can be there"):
            load_job(write(), [f"{key}=s3://bucket/x"])

    def test_missing_file_is_refused(self, tmp_path):
        assert "cannot be read" in refused(tmp_path / "none.toml")

    def test_folder_is_refused(self, tmp_path):
        assert "cannot be read" in refused(tmp_path)

    def test_file_that_is_no_text_is_refused(self, tmp_path):
        path = tmp_path / "job.toml"
        path.write_bytes(b"\xff\xfe\x00")
        assert "cannot be read" in refused(path)

    def test_too_large_file_is_refused_unread(self, write):
        message = refused(write(JOB, "#" * MAX_JOB_BYTES))
        assert str(MAX_JOB_BYTES) in message

    def test_largest_file_is_read(self, write):
        assert load_job(write(JOB, "#" + " " * (MAX_JOB_BYTES - len(JOB) - 1))).name == "interview"

    @pytest.mark.parametrize(
        "bomb",
        [
            "x = " + "[" * 100_000,
            "x = " + "{a=" * 50_000,
            "name" + ".a" * 100_000 + " = 1",
            '"name"' + '."a"' * 50_000 + " = 1",
            "[x" + " . a" * 50_000 + "]",
            "x = 1" + "0" * 5000,
            "x = [" + "{a.b.c.d=" * 60 + "1" + "}" * 60 + "]",
            'x = "' + '\\"' * 100_000,
            "a" * 200_000,
            "'\"" * 100_000,
            "[[a]]\n" * 40_000 + "x",
        ],
        ids=lambda text: text[:12],
    )
    def test_malicious_text_is_refused_quickly(self, write, bomb):
        path = write(bomb + "\n")
        started = time.process_time()
        message = refused(path)
        assert time.process_time() - started < 5
        assert len(message) < 1000

    def test_deep_value_of_a_known_setting_is_refused(self, write):
        bomb = "{a.b.c.d.e.f.g.h.i.j=" * 100 + "1" + "}" * 100
        message = refused(write(JOB.replace('"interview"', bomb, 1)))
        assert "'name'" in message
        assert len(message) < 1000


class TestRefusals:
    def test_unknown_setting_is_named(self, write):
        assert "unknown setting 'train.iteration'" in refused(write(JOB, "[train]\niteration = 3\n"))

    def test_unknown_branch_is_named(self, write):
        assert "unknown setting 'trian'" in refused(write(JOB, "[trian]\n"))

    def test_missing_setting_is_named(self, write):
        assert "'plate.video' is missing" in refused(write(JOB.replace('video = "plate.mp4"\n', "")))

    def test_all_faults_are_named_at_once(self, write):
        message = refused(write(JOB.replace('name = "interview"', "") + '[encode]\ncodec = "h266"\n'))
        assert "'name' is missing" in message
        assert "'encode.codec'" in message
        assert "h266" in message

    def test_one_subject_is_refused(self, write):
        message = refused(write(JOB.replace('[subjects.b]\nvideos = ["b1.mp4", "b2.mp4"]\n', "")))
        assert "a swap needs two subjects, 1 given" in message

    def test_three_subjects_are_refused(self, write):
        assert "subjects" in refused(write(JOB, "[subjects.c]\n"))

    def test_plate_and_target_must_be_two_people(self, write):
        assert "must differ" in refused(write(), "swap.to=a")

    @pytest.mark.parametrize(
        ("overrides", "said"),
        [
            (["output.kind=patches"], "output.kind 'patches' needs output.folder"),
            (["output.kind=image_sequence"], "output.kind 'image_sequence' needs output.folder"),
            (["output.kind=frames"], "'patches' or 'image_sequence'"),
            (["output.kind=patches", "output.folder=f", "output.format=exr"], "patches are written as png"),
            (["output.format=dpx"], "'png' or 'exr'"),
            (["output.start_number=-1"], "greater than or equal to 0"),
            (["output.start_number=100000000"], "99999999"),
        ],
    )
    def test_output_without_its_target_or_out_of_range_is_refused(self, write, overrides, said):
        assert said in refused(write(), *overrides)

    def test_video_needs_its_path(self, write):
        text = JOB.replace('video = "out/interview.mp4"', 'folder = "frames"')
        assert "output.kind 'video' needs output.video" in refused(write(text))

    @pytest.mark.parametrize("field", ["plate.subject", "swap.to"])
    def test_subject_that_is_not_listed_is_named(self, write, field):
        message = refused(write(), f"{field}=zoe")
        assert field in message
        assert "'zoe'" in message
        assert "['a', 'b']" in message

    @pytest.mark.parametrize(
        "override",
        ["decode.chunk_frames=7", "align.size=100", "train.ema=1", "smooth.strength=1.1", "encode.crf=52", "seed=-1"],
    )
    def test_value_out_of_range_is_named_with_the_value(self, write, override):
        key, value = override.split("=")
        message = refused(write(), override)
        assert repr(key) in message
        assert repr(value) in message

    def test_settings_cannot_be_changed_afterwards(self, write):
        job = load_job(write())
        with pytest.raises(ValidationError, match="frozen"):
            job.seed = 3
        with pytest.raises(ValidationError, match="frozen"):
            job.train.batch = 3


class TestOverrides:
    @pytest.mark.parametrize(
        ("override", "found"),
        [
            ("train.iterations=500", lambda job: job.train.iterations == 500),
            ("train.learning_rate = 2e-4", lambda job: job.train.learning_rate == 2e-4),
            ("plate.plate_for_training=false", lambda job: job.plate.plate_for_training is False),
            ("name=two words", lambda job: job.name == "two words"),
            ('name="quoted"', lambda job: job.name == "quoted"),
            ("smooth.radius=0", lambda job: job.smooth.radius == 0),
            ('encode.options={tune="film"}', lambda job: job.encode.options == {"tune": "film"}),
            ('encode.options.tune="film"', lambda job: job.encode.options == {"tune": "film"}),
            ('subjects.b.videos=["z.mp4"]', lambda job: [p.name for p in job.subjects["b"].videos] == ["z.mp4"]),
        ],
    )
    def test_value_arrives_with_its_type(self, write, override, found):
        assert found(load_job(write(), [override]))

    def test_override_wins_over_the_file_and_the_last_one_over_the_others(self, write):
        path = write(JOB, "[train]\nbatch = 4\n")
        assert load_job(path).train.batch == 4
        assert load_job(path, ["train.batch=5", "train.batch=6"]).train.batch == 6

    @pytest.mark.parametrize("bad", ["train.iterations", "=3", "a..b=3", "train iterations=3", ".a=1", ""])
    def test_text_that_is_no_override_is_refused(self, write, bad):
        assert "key.path=value" in refused(write(), bad)

    def test_value_is_no_group(self, write):
        assert "'name' is a value" in refused(write(), "name.first=x")

    @pytest.mark.parametrize("value", ["[" * 100_000, "1" * 5000])
    def test_malicious_value_is_refused(self, write, value):
        assert "'seed'" in refused(write(), f"seed={value}")


class TestPresets:
    @pytest.mark.parametrize("preset", TRAIN_PRESETS)
    def test_preset_sets_its_fields(self, preset):
        found, wanted = TrainSettings(preset=preset), dict(TRAIN_PRESETS[preset])
        assert found.losses == {**LOSS_WEIGHTS, **wanted.pop("losses", {})}
        assert {k: getattr(found, k) for k in wanted} == wanted

    @pytest.mark.parametrize("preset", TRAIN_PRESETS)
    def test_field_beside_the_preset_wins(self, preset):
        found = TrainSettings(preset=preset, batch=3, latent=9)
        assert (found.batch, found.latent) == (3, 9)
        assert found.width == TRAIN_PRESETS[preset]["width"]

    def test_presets_are_those_of_the_setting(self):
        field = TrainSettings.model_fields["preset"]
        assert set(typing.get_args(field.annotation)) == set(TRAIN_PRESETS)

    def test_defaults_are_the_draft(self):
        assert TrainSettings() == TrainSettings(preset="draft")
        defaults = {name: field.default for name, field in TrainSettings.model_fields.items()}
        assert TRAIN_PRESETS["draft"].items() <= defaults.items()


class TestNetworks:
    def test_losses_of_the_job_are_laid_over_those_of_the_network(self):
        assert TrainSettings(losses={"ssim": 0.5}).losses == {**LOSS_WEIGHTS, "ssim": 0.5}
        found = TrainSettings(model_name="gan", losses={"edge": 0.0, "vgg": 1.0}).losses
        assert (found["edge"], found["vgg"], found["adversarial"], found["l1"]) == (0.0, 1.0, 0.1, 1.0)

    def test_settings_stay_the_same_when_they_are_written_out_and_read_again(self):
        for wanted in ({"model_name": "gan", "losses": {"edge": 0}}, {"preset": "seed", "bottleneck": "none"}):
            settings = TrainSettings(**wanted)
            assert TrainSettings.model_validate(settings.model_dump(mode="json")) == settings

    def test_stages_of_the_gan_do_not_depend_on_how_long_it_is_trained(self):
        found = {TrainSettings(model_name="gan", iterations=n).schedule_steps for n in (10, 1400, 9999)}
        assert found == {TRAIN_PRESETS["draft"]["iterations"]}
        assert TrainSettings().schedule_steps is None

    def test_plain_network_of_the_seeds_has_nothing_of_ours_but_the_alpha_head(self):
        seed = TrainSettings(preset="seed")
        assert {k for k, w in seed.losses.items() if w} == {"l1", "alpha"}
        assert (seed.side_norm, seed.mask_weight, seed.eye_weight, seed.dropout, seed.ema) == (False, 0, 0, 0, 0)
        assert (seed.width, seed.latent, seed.resolution, seed.batch) == (128, 1024, 64, 64)

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ({"model_name": "unet"}, "model_name"),
            ({"model_name": "fakeapp", "bottleneck": "none"}, "of 'original'"),
            ({"model_name": "gan", "upsample": "resize"}, "of 'original'"),
            ({"losses": {"charm": 1.0}}, "charm"),
            ({"losses": {"l1": -1.0}}, "greater than or equal to 0"),
            ({"losses": {"l1": 0.0, "ssim": 0.0}}, "undecided"),
            ({"losses": 3}, "dictionary"),
        ],
    )
    def test_what_cannot_be_built_is_refused(self, given, said):
        with pytest.raises(ValidationError, match=said):
            TrainSettings(**given)

    def test_asked_for_is_what_differs_from_preset_and_network(self):
        assert TrainSettings(model_name="original", iterations=3, preset="standard").asked_for() == {}
        assert TrainSettings(model_name="fakeapp").asked_for() == {"model_name": "fakeapp"}
        asked = TrainSettings(resolution=128, bottleneck="none").asked_for()
        assert asked == {"resolution": 128, "bottleneck": "none"}


class TestTrainingVideos:
    def test_plate_joins_the_training_of_its_own_subject_only(self):
        job = parse(JobSettings, given_job(), source="x")
        assert job.training_videos("a") == (Path("p.mp4"),)
        assert job.training_videos("b") == ()

    def test_plate_can_be_kept_out(self):
        data = given_job()
        data["plate"]["plate_for_training"] = False
        assert parse(JobSettings, data, source="x").training_videos("a") == ()

    def test_video_named_twice_counts_once(self):
        data = given_job()
        data["subjects"]["a"]["videos"] = ["p.mp4", "q.mp4", "p.mp4"]
        assert parse(JobSettings, data, source="x").training_videos("a") == (Path("p.mp4"), Path("q.mp4"))


def branches():
    return [value for value in vars(config).values() if isinstance(value, type) and issubclass(value, Branch)]


@pytest.mark.parametrize("branch", branches(), ids=lambda b: b.__name__)
def test_every_setting_is_described(branch):
    for name, field in branch.model_fields.items():
        assert field.description, name
        assert len(field.description) > 5, name


def test_job_goes_through_json_unchanged():
    job = parse(JobSettings, given_job(), source="x")
    assert JobSettings.model_validate_json(job.model_dump_json()) == job


def test_every_stage_has_a_branch_with_defaults():
    groups = [
        f.annotation for f in JobSettings.model_fields.values() if not isinstance(f.annotation, types.GenericAlias)
    ]
    optional = {g for g in groups if isinstance(g, type) and issubclass(g, Branch) and g.__name__.endswith("Settings")}
    assert len(optional) >= 11


@given(st.text(max_size=60))
def test_any_text_is_a_job_or_a_refusal(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_bytes(text.encode())
    with pytest.raises(SettingsError):
        load_job(path)


@given(st.text(max_size=40))
def test_any_override_is_applied_or_refused(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "job.toml"
    if not path.exists():
        path.write_text(JOB)
    try:
        job = load_job(path, [text])
    except SettingsError:
        return
    assert isinstance(job, JobSettings)


def test_networks_of_the_user_are_looked_for_beside_the_job_file(write, tmp_path):
    more = '\n[detect]\nbackend = "yunet"\nmodel_file = "nets/yunet.onnx"\npack = "./packs/mine"\n'
    detect = load_job(write(more=more)).detect
    assert detect.model_file == tmp_path / "nets/yunet.onnx"
    assert detect.pack == str(tmp_path / "packs/mine")
    assert load_job(write(more='\n[detect]\npack = "buffalo_s"\n')).detect.pack == "buffalo_s"


def test_unknown_detector_is_refused_with_those_that_are_known(write):
    message = refused(write(), "detect.backend=haar")
    assert "'detect.backend'" in message
    assert "'insightface'" in message
