"""A labelled, signed video and what becomes of it when anything is changed: `faceswap verify` must say no each time."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import c2pa
import numpy as np
import pytest
from signed_films import LABEL, RATE, WH, finished, statement
from typer.testing import CliRunner

from faceswap_core.config import JobSettings, LabelSettings, ProvenanceSettings
from faceswap_core.errors import ConsentError, MediaError
from faceswap_core.stages.authenticity import check_output
from faceswap_core.stages.decode import video_ref
from faceswap_core.stages.permission import check_uses
from faceswap_core.stages.sign import settings_of, sign_video
from faceswap_core.trust.c2pa import MIME_TYPES, SOURCE_TYPE, read_stream
from faceswap_core.trust.identity import make_test_chain, utc_now
from faceswap_core.trust.label import Label, label_facts
from faceswap_core.video.index import build_index
from faceswap_core.video.reader import decode_linear
from faceswap_core.video.samples import samples_of
from flows.cli import app


def faults(path, roots):
    return {check.name for check in check_output(path, roots) if not check.passed}


def test_a_finished_video_passes_every_check(made):
    checks = check_output(made.output, made.roots)
    assert [check.detail for check in checks if not check.passed] == []
    assert len(checks) >= 11
    assert "marked as test" in next(check.detail for check in checks if check.name == "consents")


def test_every_sample_outside_the_label_equals_the_source_and_it_stands_for_its_seconds(made):
    label = Label(LABEL.text, LABEL.height, WH)
    x, y, w, h = label.rect
    assert x > WH[0] / 2 and y < WH[1] / 8, "top right"  # noqa: PT018
    labelled = 0
    for before, after in zip(decode_linear(made.plate), decode_linear(made.output), strict=True):
        changed = False
        for number, (old, new) in enumerate(zip(samples_of(before).views, samples_of(after).views, strict=True)):
            step = 2 if number else 1
            outside = np.ones(old.shape, bool)
            outside[y // step : -(-(y + h) // step), x // step : -(-(x + w) // step)] = False
            np.testing.assert_array_equal(old[outside], new[outside])
            changed |= bool((old != new).any())
        labelled += changed
    assert labelled == LABEL.seconds * RATE


def copy(made, folder, name="copy.mp4"):
    target = folder / name
    shutil.copy(made.output, target)
    shutil.copy(made.output.with_name(made.output.name + ".provenance.json"), f"{target}.provenance.json")
    return target


def flipped(path, at):
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def verified(path, folder, *roots):
    """Exit code of `faceswap verify` and the checks that failed, for roots that lie in a folder."""
    anchors = folder / "anchors"
    anchors.mkdir()
    for number, root in enumerate(roots):
        (anchors / f"{number}.pem").write_bytes(root)
    done = CliRunner().invoke(app, ["verify", str(path), "--anchors", str(anchors), "--json"])
    return done.exit_code, {check["name"] for check in json.loads(done.stdout)["checks"] if not check["passed"]}


def test_the_command_ends_with_0_for_a_finished_video(made, tmp_path):
    assert verified(copy(made, tmp_path), tmp_path, *made.roots) == (0, set())


def one_bit_of(text, offset):
    return lambda path: flipped(path, path.read_bytes().find(text) + offset)


def cut_to(share):
    return lambda path: os.truncate(path, int(share * path.stat().st_size))


def written_again(*how):
    def by_another_program(path):
        subprocess.run(["ffmpeg", "-v", "error", "-i", str(path), *how, str(path.with_name("again.mp4"))], check=True)
        path.with_name("again.mp4").replace(path)

    return by_another_program


TAMPERED = {
    "a bit of mdat": one_bit_of(b"mdat", 900),
    "a bit of moov": one_bit_of(b"moov", 60),
    "a bit of the consent assertion": one_bit_of(b"c0ffee", 3),
    "a bit of XMP": one_bit_of(b"xpacket", 40),
    "its end cut off": cut_to(0.99),
    "its half cut off": cut_to(0.5),
    "a remux": written_again("-c", "copy"),
    "another encoding": written_again("-c:v", "libx264", "-preset", "ultrafast"),
}


class TestTampering:
    @pytest.mark.parametrize("tamper", TAMPERED.values(), ids=TAMPERED)
    def test_the_command_ends_with_5(self, made, tmp_path, tamper):
        path = copy(made, tmp_path)
        tamper(path)
        code, failed = verified(path, tmp_path, *made.roots)
        assert code == 5
        assert {"c2pa trusted", "file unchanged"} <= failed

    def test_the_command_ends_with_5_for_another_root(self, made, tmp_path):
        code, failed = verified(made.output, tmp_path, make_test_chain(utc_now()).root_pem)
        assert (code, failed) == (5, {"c2pa trusted", "sidecar signed"})

    def test_a_chain_of_ones_own(self, made, tmp_path):
        own = make_test_chain(utc_now())
        (tmp_path / "chain.pem").write_bytes(own.chain_pem)
        (tmp_path / "key.pem").write_bytes(own.key_pem)
        (tmp_path / "key.pem").chmod(0o600)
        signer = ProvenanceSettings(certificates=tmp_path / "chain.pem", key=tmp_path / "key.pem")
        plate = video_ref(made.plate)
        output = tmp_path / "own.mp4"
        sign_video(video_ref(made.output), plate, statement(), signer, output)
        assert {"c2pa trusted", "sidecar signed"} <= faults(output, made.roots)

    def test_sidecar_gone_altered_or_of_another_file(self, made, tmp_path):
        path = copy(made, tmp_path)
        sidecar = Path(f"{path}.provenance.json")
        kept = sidecar.read_text()
        sidecar.write_text(kept.replace('"kind": "test"', '"kind": "person"'))
        assert {"sidecar signed", "sidecar agrees"} <= faults(path, made.roots)
        sidecar.unlink()
        assert "sidecar signed" in faults(path, made.roots)


def test_without_label_tag_or_a_second_consent_it_does_not_pass(made, tmp_path):
    bare = made.signer.model_copy(
        update={"label": LabelSettings(mode="off", reason="clean plate for grading", approved_by="A. Head")}
    )
    said = statement(consents=statement()["consents"][:1])
    path = finished(tmp_path, made.plate, bare, "bare.mp4", produce_id="", said=said)
    assert faults(path, made.roots) == {"visible label", "AIGC tag", "XMP source type", "consents"}


def test_a_label_that_is_off_is_accepted_with_its_reason(made, tmp_path):
    off = LabelSettings(mode="off", reason="clean plate for grading", approved_by="A. Head")
    said = statement(label=label_facts("off", "", 0, 0, off.reason, off.approved_by))
    path = finished(tmp_path, made.plate, made.signer.model_copy(update={"label": off}), "off.mp4", said=said)
    checks = {check.name: check for check in check_output(path, made.roots)}
    assert all(check.passed for check in checks.values())
    assert "A. Head" in checks["visible label"].detail


def test_matroska_has_its_provenance_beside_it(made, tmp_path):
    path = finished(tmp_path, made.plate, made.signer, "out.mkv")
    assert faults(path, made.roots) == set()
    flipped(path, path.stat().st_size // 2)
    assert "file unchanged" in faults(path, made.roots)


def test_the_manifest_shows_no_face_and_names_what_was_done(made):
    with made.output.open("rb") as stream:
        found = read_stream(stream, MIME_TYPES[".mp4"], made.roots)
    assert found["state"] == "Trusted"
    assert found["parents"] == 1
    assert [action for action, _ in found["actions"]] == ["c2pa.opened", "c2pa.edited", "c2pa.transcoded"]
    assert b"image/jpeg" not in made.output.read_bytes()


def test_a_signer_that_fails_leaves_nothing_behind(made, tmp_path):
    other = make_test_chain(utc_now())
    (tmp_path / "key.pem").write_bytes(other.key_pem)
    (tmp_path / "key.pem").chmod(0o600)
    signer = ProvenanceSettings(certificates=made.signer.certificates, key=tmp_path / "key.pem")
    with pytest.raises(ConsentError, match="not that of the first certificate"):
        sign_video(video_ref(made.output), video_ref(made.plate), statement(), signer, tmp_path / "out.mp4")
    (tmp_path / "key.pem").chmod(0o644)
    with pytest.raises(ConsentError, match="chmod 600"):
        sign_video(video_ref(made.output), video_ref(made.plate), statement(), signer, tmp_path / "out.mp4")
    assert {p.name for p in tmp_path.iterdir()} == {"key.pem"}


def test_times_and_streams_are_those_of_the_source(made):
    before, after = build_index(made.plate), build_index(made.output)
    assert before.pts.tolist() == after.pts.tolist()
    sidecar = json.loads(Path(f"{made.output}.provenance.json").read_text())
    assert sidecar["payload"]["video"]["streams"] == ["audio aac"]


def test_told_settings_hold_no_path_and_tell_equal_work_as_equal():
    def told(**train):
        people = {name: {"videos": [f"{name}.mp4"]} for name in "ab"}
        plate, output = {"video": "plate.mp4", "subject": "a"}, {"video": "out.mp4"}
        job = {"name": "j", "workspace": "ws", "subjects": people, "swap": {"to": "b"}, "train": train}
        return settings_of(JobSettings.model_validate({**job, "plate": plate, "output": output}))

    assert told(start_from="/one/place", vgg_file="/x") == told(start_from="/another", vgg_file="/y") == told()
    assert told(ema=0.5) != told()


def test_a_file_that_is_not_there_is_said_so(tmp_path):
    with pytest.raises(MediaError, match="no such file"):
        check_output(tmp_path / "none.mp4", [])


class TestUses:
    """What the maker of footage allows, as its own manifest says."""

    @pytest.fixture
    def marked(self, made, tmp_path):
        def write(entries):
            chain = make_test_chain(utc_now())
            signer = c2pa.Signer.from_info(
                c2pa.C2paSignerInfo(c2pa.C2paSigningAlg.ES256, chain.chain_pem, chain.key_pem, None)
            )
            created = {"action": "c2pa.created", "digitalSourceType": SOURCE_TYPE}
            manifest = {
                "claim_generator_info": [{"name": "camera", "version": "1"}],
                "assertions": [
                    {"label": "c2pa.actions.v2", "data": {"actions": [created]}},
                    {"label": "cawg.training-mining", "data": {"entries": entries}},
                ],
            }  # fmt: skip
            path = tmp_path / "marked.mp4"
            with c2pa.Builder(manifest) as builder, made.plate.open("rb") as read, path.open("w+b") as write:
                builder.sign(signer, "video/mp4", read, write)
            return video_ref(path)

        return write

    @pytest.mark.parametrize("use", ["notAllowed", "constrained"])
    def test_footage_that_may_not_be_learned_is_refused(self, marked, use):
        video = marked({"cawg.ai_generative_training": {"use": use}, "cawg.ai_inference": {"use": "allowed"}})
        with pytest.raises(ConsentError, match="ai_generative_training"):
            check_uses(video, training=True)
        check_uses(video, training=False)

    def test_footage_that_may_not_be_edited_is_refused(self, marked):
        with pytest.raises(ConsentError, match="ai_inference"):
            check_uses(marked({"cawg.ai_inference": {"use": "notAllowed"}}), training=False)

    def test_footage_without_a_word_on_it_is_free(self, made):
        check_uses(video_ref(made.plate), training=True)
        check_uses(video_ref(made.output), training=True)
