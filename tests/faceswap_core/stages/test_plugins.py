"""What others install: a signer whose key is elsewhere, and an invisible mark; both found by their entry points."""

import json

import pytest
from signed_films import WH, finished, statement

from faceswap_core.config import LabelSettings, ProvenanceSettings
from faceswap_core.errors import ConsentError, SettingsError
from faceswap_core.jobfile import load_job
from faceswap_core.stages.authenticity import check_output
from faceswap_core.stages.identity import signing_identity
from faceswap_core.stages.labelled import UNLABELLED
from faceswap_core.storage import sha256_file
from faceswap_core.trust.label import label_facts
from faceswap_core.trust.watermark import payload_of, watermarker
from faceswap_core.video.colour import to_rgb
from faceswap_core.video.reader import decode_linear
from flows.preflight import _check_watermark
from tests.jobs import job_text

PACKAGE = '''
import os
import numpy as np
from pathlib import Path
from faceswap_core.trust.identity import Identity, identity_of

class Blocks:
    """64 squares of 4 px at the lower left edge, light or dark: to be seen, and no mark for anything but a test."""

    def embed(self, frame_rgb, payload):
        bits = np.unpackbits(np.frombuffer(payload, np.uint8)).reshape(4, 16)
        out = frame_rgb.copy()
        out[-16:, :64] = (60 + 120 * bits).repeat(4, 0).repeat(4, 1)[..., None]
        return out

    def detect(self, frames_rgb):
        mean = np.mean([f[-16:, :64].mean(-1).reshape(4, 4, 16, 4).mean((1, 3)) for f in frames_rgb], 0)
        return np.packbits(mean > 120).tobytes(), float(np.abs(mean - 120).min() / 60)

def kms():
    key = Path(os.environ["KMS_KEY"])
    chain = key.with_name("chain.pem").read_bytes()
    local = identity_of(chain, key.read_bytes(), "kms")
    def sign(message):
        if "KMS_DOWN" in os.environ:
            raise ConnectionError("the vault is sealed")
        return local.sign(message)
    return Identity(b"not this one", local.algorithm, sign)

def nothing():
    return object()
'''
POINTS = """
[faceswap.watermarks]
blocks = marks_for_tests:Blocks
nothing = marks_for_tests:nothing
[faceswap.signers]
kms = marks_for_tests:kms
nothing = marks_for_tests:nothing
"""


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A package beside the others, as pip would leave it."""
    about = tmp_path / "site" / "marks_for_tests-1.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: marks-for-tests\nVersion: 1\n")
    (about / "entry_points.txt").write_text(POINTS)
    (tmp_path / "site" / "marks_for_tests.py").write_text(PACKAGE)
    monkeypatch.syspath_prepend(tmp_path / "site")
    watermarker.cache_clear()
    yield
    watermarker.cache_clear()


class TestSigner:
    @pytest.fixture
    def settings(self, made, installed, monkeypatch):
        monkeypatch.setenv("KMS_KEY", str(made.signer.key))
        return ProvenanceSettings(certificates=made.signer.certificates, signer="kms")

    def test_signs_a_video_that_passes_every_check(self, made, settings, tmp_path):
        path = finished(tmp_path, made.plate, settings, "out.mp4")
        assert [check for check in check_output(path, made.roots) if not check.passed] == []

    def test_that_fails_says_why_and_leaves_nothing(self, made, settings, tmp_path, monkeypatch):
        monkeypatch.setenv("KMS_DOWN", "1")
        with pytest.raises(ConsentError, match="the vault is sealed"):
            finished(tmp_path, made.plate, settings, "out.mp4")
        assert not list(tmp_path.glob("out*"))

    def test_that_is_not_installed_or_none_is_refused(self, settings):
        for name, said in (("none", "install it"), ("nothing", "gave no Identity")):
            with pytest.raises(ConsentError, match=said):
                signing_identity(settings.model_copy(update={"signer": name}))


class TestWatermark:
    def signed(self, made, folder, label):
        shown = label.mode, label.text, label.seconds, label.height, label.reason, label.approved_by
        said = statement(label=label_facts(*shown, "blocks"), plate_sha256=sha256_file(made.plate))
        signer = made.signer.model_copy(update={"label": label})
        return finished(folder, made.plate, signer, "marked.mp4", said=said)

    def test_is_in_every_frame_and_verify_finds_it(self, made, installed, tmp_path):
        path = self.signed(made, tmp_path, LabelSettings(seconds=2, watermark="blocks"))
        checks = {check.name: check for check in check_output(path, made.roots)}
        assert [check for check in checks.values() if not check.passed] == []
        assert sha256_file(made.plate)[:16] in checks["watermark"].detail
        single = {watermarker("blocks").detect([to_rgb(frame)])[0] for frame in decode_linear(path)}
        assert single == {payload_of(sha256_file(made.plate))}

    def test_goes_without_a_visible_label(self, made, installed, tmp_path):
        label = UNLABELLED.model_copy(update={"watermark": "blocks"})
        path = self.signed(made, tmp_path, label)
        assert [check for check in check_output(path, made.roots) if not check.passed] == []

    def test_that_is_named_and_missing_does_not_pass(self, made, installed, tmp_path):
        path = self.signed(made, tmp_path, LabelSettings(seconds=2))
        assert [check.name for check in check_output(path, made.roots) if not check.passed] == ["watermark"]

    def test_that_is_not_installed_cannot_be_found(self, made, installed, tmp_path, monkeypatch):
        path = self.signed(made, tmp_path, LabelSettings(seconds=2, watermark="blocks"))
        monkeypatch.undo()
        watermarker.cache_clear()
        (missed,) = (check for check in check_output(path, made.roots) if not check.passed)
        assert "install it" in missed.detail

    @pytest.mark.parametrize(
        ("name", "output", "said"),
        [
            ("none", 'output.video="out.mp4"', "install it"),
            ("nothing", 'output.video="out.mp4"', "embed and detect"),
            ("blocks", 'output={kind="patches", folder="out"}', "marks videos"),
        ],
    )
    def test_that_cannot_be_drawn_is_refused_before_any_work(self, installed, tmp_path, name, output, said):
        (tmp_path / "job.toml").write_text(job_text({"output.video": None}))
        job = load_job(tmp_path / "job.toml", [output, f'provenance.label.watermark="{name}"'])
        with pytest.raises(SettingsError, match=said):
            _check_watermark(job)


def test_no_mark_is_built_in_and_none_is_said_to_be_there():
    from faceswap_core.trust.watermark import WATERMARKS

    assert WATERMARKS == {}
    assert "watermark" not in json.dumps(label_facts("start", "AI", 3, 0.05, "", ""))
    assert "watermark" not in json.dumps(label_facts("off", "", 0, 0, "x", "y"))
    assert WH[0] >= 64
