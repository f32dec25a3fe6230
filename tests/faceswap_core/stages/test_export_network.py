"""A learned network is handed on by leave of both people alone, and a purge finds what was handed on."""

import json
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

import onnx
import pytest
from typer.testing import CliRunner

from faceswap_core.errors import ConsentError, SettingsError
from faceswap_core.jobfile import load_job
from faceswap_core.models import MODELS, Build
from faceswap_core.models.checkpoint import save_weights
from faceswap_core.stages.consent import ConsentGate, write_signed
from faceswap_core.stages.export_network import export_network
from faceswap_core.stages.lineage import bind_checkpoint
from faceswap_core.stages.purge import purge
from faceswap_core.stages.weights import FINISHED
from faceswap_core.storage import Workspace, sha256_file
from faceswap_core.trust.consent import SCHEMA
from faceswap_core.trust.revocation import with_revocation
from faceswap_core.trust.signed import Signed, new_key, private_key, public_pem, sign
from flows.cli import app
from tests.jobs import FILM, job_text, new_consent

pytestmark = pytest.mark.filterwarnings("ignore")  # of the exporter's own libraries

KEY = private_key(new_key()[0], "key")


def record(subject):
    return new_consent(subject, roles=["source-identity" if subject == "b" else "target-performer"])


class Studio:
    """A folder with a job, its signed records and a network that was trained under them."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "keys").mkdir()
        (folder / "keys" / "office.pem").write_bytes(public_pem(KEY.public_key()))
        (folder / "job.toml").write_text(job_text(FILM))
        self.records = {name: record(name) for name in "ab"}
        for name in "ab":
            self.renew(name)
        for name in ("a", "b", "plate"):
            (folder / f"{name}.mp4").write_bytes(name.encode())
        self.train("first")

    def renew(self, name, **changes):
        document = Signed({**self.records[name].payload, **changes}, ())
        write_signed(self.folder / f"{name}.json", sign(document, SCHEMA, KEY))

    def revoke(self, name):
        document = with_revocation(None, self.records[name].payload["record_id"], KEY, datetime.now(UTC))
        write_signed(self.folder / "keys" / "revocations.json", document)

    def train(self, key):
        build = Build(resolution=64, width=4, latent=8)
        colors = {name: {"mean": [0.0] * 3, "scale": [1.0] * 3, "shift": [0.0] * 3} for name in "ab"}
        facts = {"model": "original", "build": asdict(build), "sides": ["a", "b"], "colors": colors, "step": 1}
        facts |= {"coverage": 0.6, "eye_distance": 0.4, "centre": 0.5}
        grants = ConsentGate(self.job(), allow_test=False).check("training")
        path = self.folder / "ws" / "checkpoints" / key / "weights.safetensors"
        path.parent.mkdir(parents=True)
        bind_checkpoint(Workspace(self.folder / "ws"), f"checkpoints/{key}", grants)
        save_weights(path, MODELS["original"](build), facts | {"consents": grants})
        (path.parent / FINISHED).write_text(json.dumps({"file": path.name, "sha256": sha256_file(path)}))

    def job(self, *overrides):
        return load_job(self.folder / "job.toml", overrides)

    def export(self, *overrides, name="swap.onnx", **given):
        return export_network(self.job(*overrides), self.folder / name, **given)


@pytest.fixture
def studio(tmp_path):
    return Studio(tmp_path)


def test_the_file_names_the_records_and_a_purge_names_the_file(studio):
    made = studio.export()
    output = studio.folder / "swap.onnx"
    about = {entry.key: entry.value for entry in onnx.load(output).metadata_props}
    ids = {studio.records[name].payload["record_id"] for name in "ab"}
    assert {grant["record"] for grant in json.loads(about["consents"]).values()} == ids
    assert "agent@example.org" not in json.dumps(about)
    assert made["sides"] == ["a", "b"]
    done = purge(Workspace(studio.folder / "ws"), min(ids), outputs=False)
    assert done.outputs == (str(output),)
    assert output.exists()


def test_one_of_several_trainings_must_be_named_and_a_purge_deletes_the_file_on_request(studio):
    studio.train("second")
    with pytest.raises(SettingsError, match=r"2 finished trainings \(first, second\).*--checkpoint"):
        studio.export()
    studio.export(checkpoint=studio.folder / "ws/checkpoints/second")
    done = purge(Workspace(studio.folder / "ws"), studio.records["b"].payload["record_id"], outputs=True)
    assert done.remaining == ()
    assert list(studio.folder.rglob("*.onnx")) == []


def expired(studio):
    studio.renew("b", expires=(datetime.now(UTC) - timedelta(hours=1)).isoformat())


def revoked(studio):
    studio.revoke("a")


def training_taken_back(studio):
    studio.renew("b", training=False)


def another_record(studio):
    studio.records["b"] = record("b")
    studio.renew("b")


def other_roles(studio):
    studio.renew("b", roles=["target-performer"])


def altered(studio):
    path = studio.folder / "b.json"
    path.write_text(path.read_text().replace("dubbing", "dubbinh"))


def missing(studio):
    (studio.folder / "b.json").unlink()


REFUSED = {
    expired: "expired",
    revoked: "revoked",
    training_taken_back: "does not allow training",
    another_record: "was trained under the consent records",
    other_roles: "roles",
    altered: "altered",
    missing: "cannot be read",
}


@pytest.mark.parametrize("finished", [False, True], ids=["by the job", "as a finished model"])
@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.__name__)
def test_without_leave_nothing_is_written(studio, case, finished):
    case(studio)
    overrides = [f"train.model={studio.folder / 'ws/checkpoints/first'}"] if finished else []
    with pytest.raises(ConsentError, match=REFUSED[case]) as caught:
        studio.export(*overrides)
    assert caught.value.exit_code == 5
    assert list(studio.folder.rglob("*.onnx")) == []


def test_a_record_that_nobody_signs_stands_in_for_no_person(studio):
    payload = {**studio.records["b"].payload, "kind": "test"}
    write_signed(studio.folder / "b.json", Signed(payload, ()))
    with pytest.raises(ConsentError, match="was trained under the consent records"):
        studio.export(allow_test=True)


def test_the_command_ends_with_5_without_leave_and_with_2_for_another_suffix(studio):
    def run(name):
        arguments = ["export", str(studio.folder / "job.toml"), str(studio.folder / name), "--json"]
        done = CliRunner().invoke(app, arguments)
        return done.exit_code, json.loads(done.stdout.splitlines()[-1])

    assert run("swap.bin")[0] == 2
    studio.revoke("b")
    code, said = run("swap.onnx")
    assert (code, said["error"]) == (5, "ConsentError")
