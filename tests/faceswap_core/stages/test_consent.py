"""The refusals: each case changes one thing of a job that is granted, and the files are those a user has."""

import json
import os
import re
import shutil
import time
from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner

from faceswap_core.errors import ConsentError
from faceswap_core.jobfile import load_job
from faceswap_core.stages import consent as stage
from faceswap_core.stages.actor import ActorSettings, render_actor
from faceswap_core.stages.consent import ConsentGate, job_grants
from faceswap_core.stages.rendered import actor_record
from faceswap_core.storage import Workspace
from faceswap_core.trust.consent import SCHEMA
from faceswap_core.trust.revocation import with_revocation
from faceswap_core.trust.signed import MAX_BYTES, Signed, new_key, private_key, sign
from flows.cli import app
from tests.jobs import FILM, job_text, new_consent

NOW = datetime.now(UTC).replace(microsecond=0)
"""As by the clock, since the command line has no other."""
DAY = timedelta(days=1)
KEY, OTHER = (private_key(new_key()[0], "key") for _ in range(2))


def record(subject, **changes):
    given = {"purposes": ["dubbing", "trailer"], "territories": ["DE", "FR"], "now": NOW - DAY}
    return new_consent(subject, **{**given, **changes})


def rewritten(document, **changes):
    return Signed({**document.payload, **changes}, ())


class Office:
    """A folder with a job, its records and the keys of those who sign them."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "keys").mkdir()
        self.trust(KEY)
        (folder / "job.toml").write_text(job_text({**FILM, "provenance.territories": ["DE"]}))
        for name in "ab":
            self.put(name, sign(record(name), SCHEMA, KEY))
        for name in ("a", "b", "plate"):
            (folder / f"{name}.mp4").write_bytes(name.encode())

    def trust(self, key):
        from faceswap_core.trust.signed import public_pem

        (self.folder / "keys" / "office.pem").write_bytes(public_pem(key.public_key()))

    def put(self, name, document):
        (self.folder / f"{name}.json").write_text(document.to_json())

    def signed(self, name, **changes):
        """Put a record with other payload, rightly signed."""
        self.put(name, sign(rewritten(record(name), **changes), SCHEMA, KEY))

    def revoke(self, record_id, key=KEY, now=NOW):
        stage.write_signed(self.folder / "keys" / "revocations.json", with_revocation(None, record_id, key, now))

    def job(self, *overrides):
        return load_job(self.folder / "job.toml", overrides)

    def grants(self, *overrides, now=NOW, allow_test=False):
        return job_grants(self.job(*overrides), now=now, allow_test=allow_test)


@pytest.fixture
def office(tmp_path):
    return Office(tmp_path)


def test_two_good_records_are_granted_and_name_no_person(office):
    grants = office.grants()
    assert [g["role"] for g in grants.values()] == ["target-performer", "source-identity"]
    assert "agent@example.org" not in json.dumps(grants)
    assert all(len(g["sha256"]) == 64 and len(g["record"]) == 32 for g in grants.values())


def missing(office):
    return ["subjects.b={videos=['b.mp4']}"]


def missing_of_the_plate(office):
    return ["subjects.a={videos=['a.mp4']}"]


def gone(office):
    (office.folder / "b.json").unlink()


def huge(office):
    path = office.folder / "b.json"
    path.write_text(path.read_text() + " " * MAX_BYTES)


def unknown_field(office):
    office.signed("b", mood="glad")


def missing_field(office):
    payload = dict(record("b").payload)
    del payload["revocation"]
    office.put("b", sign(Signed(payload, ()), SCHEMA, KEY))


def wrong_key(office):
    office.put("b", sign(record("b"), SCHEMA, OTHER))


def unsigned(office):
    office.put("b", record("b"))


def changed_byte(office):
    path = office.folder / "b.json"
    path.write_text(path.read_text().replace('"dubbing"', '"dubbinh"'))


def later_expiry(office):
    path = office.folder / "b.json"
    expires = json.loads(path.read_text())["payload"]["expires"]
    path.write_text(path.read_text().replace(expires, "2100" + expires[4:]))


def expired(office):
    office.signed("b", expires=(NOW - DAY / 2).isoformat())


def not_yet_valid(office):
    office.signed("b", not_before=(NOW + DAY).isoformat())


def without_zone(office):
    office.signed("b", expires="2100-11-20T23:59:59")


def revoked(office):
    office.revoke(json.loads((office.folder / "b.json").read_text())["payload"]["record_id"])


def revoked_by_another_key(office):
    office.revoke("somebody-else", key=OTHER)


def named_list_is_gone(office):
    return ['provenance.revocations="none.json"']


def wrong_project(office):
    return ['provenance.project="advert"']


def wrong_purpose(office):
    return ['provenance.purpose="advert"']


def no_purpose(office):
    return ['provenance.purpose=""']


def elsewhere(office):
    return ['provenance.territories=["DE", "US"]']


def training_not_allowed(office):
    office.signed("b", training=False)


def other_role(office):
    office.signed("b", roles=["target-performer"])


def other_subject(office):
    return ['subjects.b.consent="a.json"']


def clock_behind(office):
    office.signed("b", issued=(NOW + DAY).isoformat())


def clock_behind_the_list(office):
    office.revoke("somebody-else", now=NOW + 2 * DAY)


def one_record_under_two_names(office):
    twin = json.loads((office.folder / "a.json").read_text())["payload"]
    office.signed("b", record_id=twin["record_id"])


def made_up_kind(office):
    office.signed("b", kind="dead")


def key_folder_gone(office):
    shutil.rmtree(office.folder / "keys")


def private_key_among_the_trusted(office):
    (office.folder / "keys" / "oops.pem").write_bytes(new_key()[0])


CASES = {
    missing: "no consent record",
    missing_of_the_plate: "subject 'a' has no consent record",
    gone: "cannot be read",
    huge: "larger than",
    unknown_field: "mood",
    missing_field: "revocation",
    wrong_key: "none of the 1 trusted keys",
    unsigned: "signed by nobody",
    changed_byte: "altered",
    later_expiry: "altered",
    expired: "expired",
    not_yet_valid: "holds from",
    without_zone: "zone",
    revoked: "was revoked",
    revoked_by_another_key: "trusted keys",
    named_list_is_gone: "none.json",
    wrong_project: "'advert'",
    wrong_purpose: "purposes",
    no_purpose: "provenance.purpose",
    elsewhere: "'US'",
    training_not_allowed: "does not allow training",
    other_role: "roles",
    other_subject: "speaks for subject 'a'",
    clock_behind: "set the clock right",
    clock_behind_the_list: "set the clock right",
    one_record_under_two_names: "a record of their own",
    made_up_kind: "kind",
    key_folder_gone: "no folder",
    private_key_among_the_trusted: "no public key",
}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_refused(office, case):
    overrides = case(office) or []
    with pytest.raises(ConsentError, match=CASES[case]) as caught:
        office.grants(*overrides)
    assert caught.value.exit_code == 5
    chosen = [word for setting in overrides for word in ("--set", setting)]
    before = set(office.folder.rglob("*"))
    for command in (("run",), ("consent", "check")):
        told = CliRunner().invoke(app, [*command, str(office.folder / "job.toml"), *chosen, "--json"])
        last = json.loads(told.stdout.splitlines()[-1])
        assert (told.exit_code, last["error"]) == (5, "ConsentError")
        assert re.search(CASES[case], last["message"])
    assert set(office.folder.rglob("*")) == before, "nothing was written, not even a folder"


def test_a_finished_model_needs_no_leave_to_train(office):
    for name in "ab":
        office.signed(name, training=False)
    assert office.grants('train.model="./model"')


def test_everywhere_covers_every_country(office):
    for name in "ab":
        office.signed(name, territories=["*"])
    assert office.grants('provenance.territories=["US", "JP"]')


def test_a_test_record_counts_only_where_it_is_asked_for(office):
    for name in "ab":
        office.put(name, record(name, kind="test"))
    with pytest.raises(ConsentError, match="--allow-test-consent"):
        office.grants()
    assert {g["kind"] for g in office.grants(allow_test=True).values()} == {"test"}


def test_a_test_record_is_still_kept_to_its_time(office):
    for name in "ab":
        office.put(name, record(name, kind="test"))
    with pytest.raises(ConsentError, match="expired"):
        office.grants(allow_test=True, now=NOW + 300 * DAY)


class TestGate:
    """The same checks while a job runs, from the files as they are by then."""

    @pytest.fixture
    def gate(self, office):
        for name in "ab":
            office.put(name, sign(record(name, now=datetime.now(UTC), days=1), SCHEMA, KEY))
        gate = ConsentGate(office.job(), allow_test=False)
        gate.check("the start")
        return gate

    def test_expiry_during_a_run_is_refused(self, gate, monkeypatch):
        later, then = time.time() + 2 * 86400, stage._unset_seconds() + 2 * 86400
        monkeypatch.setattr(stage.time, "time", lambda: later)
        monkeypatch.setattr(stage, "_unset_seconds", lambda: then)
        with pytest.raises(ConsentError, match="expired"):
            gate.check("the export")

    @pytest.mark.parametrize("hours", [-2, 2])
    def test_a_clock_that_is_set_during_a_run_is_refused(self, gate, monkeypatch, hours):
        moved = time.time() + hours * 3600
        monkeypatch.setattr(stage.time, "time", lambda: moved)
        with pytest.raises(ConsentError, match="clock was set"):
            gate.check("the export")

    def test_a_revocation_during_a_run_is_seen(self, gate, office):
        payload = json.loads((office.folder / "a.json").read_text())["payload"]
        office.revoke(payload["record_id"], now=datetime.now(UTC))
        with pytest.raises(ConsentError, match="revoked"):
            gate.check("training")

    def test_a_renewed_record_goes_on(self, gate, office):
        before = gate.check("training")
        payload = json.loads((office.folder / "a.json").read_text())["payload"]
        later = (datetime.now(UTC) + timedelta(days=90)).isoformat(timespec="seconds")
        office.put("a", sign(Signed({**payload, "expires": later}, ()), SCHEMA, KEY))
        after = gate.check("the export")
        assert after["a"]["record"] == before["a"]["record"]
        assert after["a"]["sha256"] != before["a"]["sha256"]


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    workspace = Workspace(tmp_path_factory.mktemp("actors"))
    made = {}
    for name, person, script in (("a", 3, 1), ("plate", 3, 5), ("b", 8, 2)):
        settings = ActorSettings(identity=person, performance=script, frames=10, width=160, height=90, face=60)
        made[name] = (settings, render_actor(workspace, settings))
    return made


class TestRenderedActors:
    @pytest.fixture
    def cast(self, office, clips):
        for name, (_, clip) in clips.items():
            shutil.copy(clip["video"]["path"], office.folder / f"{name}.mp4")
        office.put("a", actor_record("a", [clips["a"], clips["plate"]]))
        office.put("b", actor_record("b", [clips["b"]]))
        return office

    def test_need_nobodys_signature(self, cast):
        assert {g["kind"] for g in cast.grants().values()} == {"synthetic"}

    def test_equal_clips_make_equal_records(self, clips):
        assert actor_record("b", [clips["b"]]).digest == actor_record("b", [clips["b"]]).digest

    def test_footage_that_the_record_does_not_name_is_refused(self, cast):
        shutil.copy(cast.folder / "plate.mp4", cast.folder / "b.mp4")
        with pytest.raises(ConsentError, match="does not name"):
            cast.grants()

    @pytest.mark.parametrize("change", [{"identity": 4}, {"performance": 9}, {"frames": 11}, {"width": 162}])
    def test_footage_that_its_seeds_do_not_render_is_refused(self, cast, clips, change):
        settings, clip = clips["b"]
        cast.put("b", actor_record("b", [(settings.model_copy(update=change), clip)]))
        with pytest.raises(ConsentError, match="not what its seeds render"):
            cast.grants()

    def test_what_was_proven_of_one_record_proves_no_other(self, cast, clips):
        cast.grants()
        assert len(list(cast.folder.rglob("proofs/*.json"))) == 3
        settings, clip = clips["b"]
        cast.put("b", actor_record("b", [(settings.model_copy(update={"identity": 4}), clip)]))
        with pytest.raises(ConsentError, match="not what its seeds render"):
            cast.grants()

    def test_a_record_without_its_clips_is_refused(self, cast, clips):
        cast.put("b", rewritten(actor_record("b", [clips["b"]]), rendered=None))
        with pytest.raises(ConsentError, match="do not go together"):
            cast.grants()

    def test_clips_make_no_record_of_a_person_one_of_an_actor(self, cast, clips):
        rendered = actor_record("b", [clips["b"]]).payload["rendered"]
        cast.put("b", sign(rewritten(record("b"), rendered=rendered), SCHEMA, KEY))
        with pytest.raises(ConsentError, match="do not go together"):
            cast.grants()


class TestCommands:
    def run(self, *arguments):
        return CliRunner().invoke(app, ["consent", *map(str, arguments)])

    def test_a_record_is_made_signed_checked_and_revoked(self, office):
        folder = office.folder
        key, paper = folder / "office", folder / "paper.pdf"
        paper.write_text("signed by hand")
        assert self.run("key", key).exit_code == 0
        assert key.stat().st_mode & 0o777 == 0o600
        shutil.move(folder / "office.pem", folder / "keys" / "office.pem")
        for name in "ab":
            (folder / f"{name}.json").unlink()
            told = self.run(
                "new", folder / f"{name}.json", "--subject", name, "--project", "film", "--purpose", "dubbing",
                "--training", "--evidence", paper,
            )  # fmt: skip
            assert told.exit_code == 0, told.output
        job = folder / "job.toml"
        assert self.run("check", job).exit_code == 5
        for name in "ab":
            assert self.run("sign", folder / f"{name}.json", "--key", key).exit_code == 0
        assert self.run("check", job).exit_code == 0
        revoked = self.run("revoke", folder / "b.json", "--list", folder / "keys" / "revocations.json", "--key", key)
        assert revoked.exit_code == 0, revoked.output
        assert "faceswap purge" in revoked.output
        refused = self.run("check", job, "--json")
        assert refused.exit_code == 5
        assert "revoked" in json.loads(refused.stdout)["message"]

    def test_a_key_that_others_can_read_does_not_sign(self, office):
        key = office.folder / "office"
        self.run("key", key)
        os.chmod(key, 0o640)
        told = self.run("sign", office.folder / "a.json", "--key", key)
        assert told.exit_code == 5
        assert "chmod 600" in told.output

    def test_keys_and_records_are_never_replaced(self, office):
        key = office.folder / "office"
        self.run("key", key)
        before = key.read_bytes()
        assert self.run("key", key).exit_code != 0
        assert key.read_bytes() == before
        again = self.run(
            "new", office.folder / "a.json", "--subject", "a", "--project", "film", "--purpose", "x", "--kind", "test"
        )
        assert again.exit_code == 2
