"""A workspace in a bucket of a real S3 server: what is asked, sent and fetched, and what happens when it fails."""

import hashlib
import json
import os
import sys
import threading
import time

import pytest

from faceswap_core import layout, objectstore, patience, storage
from faceswap_core.errors import EnvironmentFault, ManifestError, ResourceError, SettingsError
from faceswap_core.stages import lease as leasing
from faceswap_core.stages.lease import lease
from faceswap_core.stages.lineage import Lineage, Origin, bind_checkpoint
from faceswap_core.stages.purge import purge
from faceswap_core.storage import Workspace
from tests.objectstores import BUCKET, CREDENTIALS, s3_server


@pytest.fixture(scope="module")
def server():
    with s3_server() as running:
        yield running


@pytest.fixture
def place(server, monkeypatch, request, tmp_path):
    """An address that no other test uses."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    monkeypatch.setattr(patience, "_FIRST_DELAY_SECONDS", 0.05)
    use_machine(monkeypatch, tmp_path, "one")
    yield f"s3://{BUCKET}/{hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:12]}"
    server.fault = None


def use_machine(monkeypatch, tmp_path, name):
    """Let what follows happen on a machine that has seen nothing yet."""
    monkeypatch.setenv(storage.CACHE_VARIABLE, str(tmp_path / name))
    return tmp_path / name


def prefix(place):
    return place.removeprefix(f"s3://{BUCKET}/")


def refreshed(workspace):
    """The workspace as a new process sees it."""
    workspace.begin()
    return workspace


class TestFiles:
    def test_published_file_is_read_on_another_machine_once(self, server, place, monkeypatch, tmp_path):
        ref = Workspace(place).publish_bytes("stage", "name", ".bin", b"content")
        assert server.get(f"{prefix(place)}/{ref['path']}") == b"content"
        use_machine(monkeypatch, tmp_path, "two")
        there = Workspace(place)
        assert there.holds(ref["path"], ref["sha256"])
        assert not there.path(ref["path"]).exists(), "whether it is there is told without fetching it"
        assert there.localize(ref["path"], ref["sha256"]).read_bytes() == b"content"
        with server.counted() as asked:
            there.localize(ref["path"], ref["sha256"])
        assert not asked

    def test_what_is_there_already_is_not_sent_again(self, server, place):
        workspace = Workspace(place)
        workspace.publish_bytes("stage", "name", ".bin", b"same")
        with server.counted() as asked:
            workspace.publish_bytes("stage", "name", ".bin", b"same")
        assert asked == {"HEAD": 1}

    @pytest.mark.parametrize("harm", ["delete", "alter", "alter keeping its notes"])
    def test_harmed_object_is_not_held_though_the_local_copy_is(self, server, place, harm):
        workspace = Workspace(place)
        ref = workspace.publish_bytes("stage", "name", ".bin", b"content")
        name = f"{prefix(place)}/{ref['path']}"
        if harm == "delete":
            server.delete(name)
        else:
            notes = {"sha256": ref["sha256"]} if "notes" in harm else {}
            server.client.put_object(
                Bucket=BUCKET, Key=name, Body=b"kontent", Metadata=notes, ChecksumAlgorithm="SHA256"
            )
        assert not refreshed(workspace).holds(ref["path"], ref["sha256"])
        workspace.publish_bytes("stage", "name", ".bin", b"content")
        assert server.get(name) == b"content"
        assert refreshed(workspace).holds(ref["path"], ref["sha256"])

    def test_object_of_another_content_is_never_used(self, server, place, monkeypatch, tmp_path):
        ref = Workspace(place).publish_bytes("stage", "name", ".bin", b"content")
        server.put(f"{prefix(place)}/{ref['path']}", b"other")
        use_machine(monkeypatch, tmp_path, "two")
        assert not Workspace(place).localize(ref["path"], ref["sha256"]).exists()

    def test_store_that_notes_no_digests_is_read_to_know(self, server, place, monkeypatch, tmp_path):
        data = os.urandom(1000)
        server.put(f"{prefix(place)}/stage/x.bin", data)
        workspace = Workspace(place)
        assert workspace.holds("stage/x.bin", hashlib.sha256(data).hexdigest())
        assert not workspace.holds("stage/x.bin", "0" * 64)

    def test_file_too_large_for_one_request_goes_in_parts(self, server, place, monkeypatch, tmp_path):
        monkeypatch.setattr(objectstore, "_LARGEST_SINGLE_PUT", 6 * 1024**2)
        monkeypatch.setattr(objectstore, "_PART_BYTES", 5 * 1024**2)
        workspace = Workspace(place)
        with workspace.scratch(".bin") as temporary:
            temporary.write_bytes(os.urandom(11 * 1024**2))
            ref = workspace.publish_file("stage", "large", temporary)
        assert "-" in server.client.head_object(Bucket=BUCKET, Key=f"{prefix(place)}/{ref['path']}")["ETag"]
        assert refreshed(workspace).holds(ref["path"], ref["sha256"])
        with server.counted() as asked:
            workspace.publish_bytes("stage", "large", ".bin", workspace.path(ref["path"]).read_bytes())
        assert asked == {"HEAD": 1}
        use_machine(monkeypatch, tmp_path, "two")
        assert Workspace(place).localize(ref["path"], ref["sha256"]).stat().st_size == ref["size"]

    def test_pointer_is_that_of_the_bucket_each_time(self, server, place):
        workspace = Workspace(place)
        assert workspace.read("facesets/current.json") is None
        workspace.write("facesets/current.json", b"1")
        server.put(f"{prefix(place)}/facesets/current.json", b"2")
        assert workspace.read("facesets/current.json") == b"2"
        server.delete(f"{prefix(place)}/facesets/current.json")
        assert workspace.read("facesets/current.json") is None

    def test_names_chosen_by_others_never_leave_the_folder(self, server, place, tmp_path):
        for name in ("../../../evil", "runs/../../evil", "/evil", "runs//evil", "runs/"):
            server.put(f"{prefix(place)}/{name}", b"x")
        server.put(f"{prefix(place)}/runs/good.json", b"{}")
        assert Workspace(place).pull("") == ["runs/good.json"]
        assert not list(tmp_path.rglob("evil"))

    def test_output_outside_is_kept_and_brought_back_to_its_own_place_only(self, place, tmp_path, monkeypatch):
        out = tmp_path / "out.mp4"
        out.write_bytes(b"video")
        ref = Workspace(place).adopt(out)
        out.unlink()
        use_machine(monkeypatch, tmp_path, "two")
        there = Workspace(place)
        assert there.holds(ref["path"], ref["sha256"])
        with pytest.raises(ManifestError, match="which this job writes"):
            there.bring(ref, tmp_path / "elsewhere.mp4")
        there.bring(ref, out)
        assert out.read_bytes() == b"video"

    def test_local_copies_of_what_was_purged_elsewhere_are_forgotten(self, server, place):
        workspace = Workspace(place)
        refs = [workspace.publish_bytes("stage", name, ".bin", name.encode()) for name in ("gone", "kept", "young")]
        proof = workspace.root / layout.PROOFS / "x.json"
        proof.parent.mkdir()
        proof.write_text("{}")
        old = time.time() - 3600
        for path in (*(workspace.path(ref["path"]) for ref in refs[:2]), proof):
            os.utime(path, (old, old))
        for ref in (refs[0], refs[2]):
            server.delete(f"{prefix(place)}/{ref['path']}")
        workspace.begin()
        assert [workspace.path(ref["path"]).exists() for ref in refs] == [False, True, True]
        assert proof.exists(), "what this machine has proven was never sent"

    def test_local_folder_is_for_its_owner_alone(self, place):
        assert Workspace(place).root.stat().st_mode & 0o077 == 0


class TestFaults:
    def test_failing_store_is_waited_out(self, server, place):
        workspace = Workspace(place)
        workspace.reach()
        server.fault = 0.0
        threading.Timer(1.5, setattr, (server, "fault", None)).start()
        began = time.monotonic()
        ref = workspace.publish_bytes("stage", "name", ".bin", b"content")
        assert time.monotonic() - began > 1
        assert server.get(f"{prefix(place)}/{ref['path']}") == b"content"

    def test_store_that_stays_down_is_a_passing_fault_by_name(self, server, place, monkeypatch):
        monkeypatch.setattr(patience, "_FIRST_PATIENCE_SECONDS", 0.3)
        server.fault = 0.0
        with pytest.raises(ResourceError, match=r"fails since .* 500") as caught:
            Workspace(place).reach()
        assert place in str(caught.value)

    def test_nobody_at_the_address(self, place, monkeypatch):
        monkeypatch.setattr(patience, "_FIRST_PATIENCE_SECONDS", 0.3)
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        with pytest.raises(ResourceError, match="AWS_ENDPOINT_URL names it"):
            Workspace(place).reach()

    def test_no_bucket(self, place):
        with pytest.raises(SettingsError, match="no bucket 'nowhere'"):
            Workspace("s3://nowhere/x").reach()

    def test_no_credentials(self, place, monkeypatch):
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        with pytest.raises(EnvironmentFault, match="give credentials") as caught:
            Workspace(place + "-without").reach()
        assert caught.value.exit_code == 3

    def test_password_in_the_endpoint_is_refused_and_not_repeated(self, place, monkeypatch):
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://me:verysecret@127.0.0.1:9")
        with pytest.raises(SettingsError, match="holds a password") as caught:
            Workspace(place)
        assert "verysecret" not in str(caught.value)

    def test_missing_library_is_named_with_its_command(self, place, monkeypatch):
        monkeypatch.setitem(sys.modules, "s3fs", None)
        monkeypatch.setenv("AWS_PROFILE", "somebody else, so that it is looked for anew")
        with pytest.raises(EnvironmentFault, match=r"pip install 'faceswap-pipeline\[s3\]'") as caught:
            Workspace(place)
        assert caught.value.exit_code == 3


class TestLease:
    @pytest.fixture(autouse=True)
    def short(self, monkeypatch):
        monkeypatch.setattr(leasing, "_STORE_LEASE_SECONDS", 1.2)

    def test_only_one_holds_it_and_the_other_waits(self, place):
        workspace, order = Workspace(place), []

        def second():
            with lease(workspace, "checkpoints/k", lambda: order.append("waiting")):
                order.append("second")

        with lease(workspace, "checkpoints/k"):
            thread = threading.Thread(target=second)
            thread.start()
            time.sleep(2.5)  # twice as long as a lease holds: it is renewed
            assert set(order) == {"waiting"}
            order.append("first ends")
        thread.join(10)
        assert order[-1] == "second"
        assert workspace.read("checkpoints/k/.lease.json") is None

    def test_silent_holder_of_another_machine_is_taken_over_from(self, server, place):
        told = json.dumps({"host": "elsewhere", "pid": 1, "holder": "x"}).encode()
        server.put(f"{prefix(place)}/checkpoints/k/.lease.json", told)
        began = time.monotonic()
        with lease(Workspace(place), "checkpoints/k"):
            assert time.monotonic() - began > 1.2

    def test_whoever_lost_it_is_told(self, server, place):
        with lease(Workspace(place), "checkpoints/k") as check:
            check()
            server.put(f"{prefix(place)}/checkpoints/k/.lease.json", b'{"holder": "another"}')
            time.sleep(0.6)
            with pytest.raises(ResourceError, match="took over"):
                check()
        assert server.get(f"{prefix(place)}/checkpoints/k/.lease.json"), "the lease of another is left alone"

    def test_waiting_can_be_stopped(self, server, place):
        server.put(f"{prefix(place)}/checkpoints/k/.lease.json", b'{"host": "elsewhere", "pid": 1}')

        def stop():
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt), lease(Workspace(place), "checkpoints/k", stop):
            pass


class TestLineage:
    def test_lines_of_several_machines_add_up(self, place, monkeypatch, tmp_path):
        Lineage(Workspace(place)).note([Origin("a.parquet", "1" * 64, frozenset(["ra"]))])
        use_machine(monkeypatch, tmp_path, "two")
        there = Lineage(Workspace(place))
        there.note([Origin("b.parquet", "2" * 64, frozenset(["rb"]))])
        assert there.records_of(["1" * 64, "2" * 64]) == {"ra", "rb"}
        use_machine(monkeypatch, tmp_path, "one")
        assert Lineage(Workspace(place)).records_of(["2" * 64]) == {"rb"}

    def test_purge_deletes_what_comes_of_a_record_from_the_bucket(self, server, place, monkeypatch, tmp_path):
        workspace = Workspace(place)
        mine, other = (workspace.publish_bytes("swap-frames", n, ".parquet", n.encode()) for n in ("mine", "other"))
        origins = zip((mine, other), ("r-mine", "r-other"), strict=True)
        Lineage(workspace).note([Origin(ref["path"], ref["sha256"], frozenset([record])) for ref, record in origins])
        bind_checkpoint(workspace, "checkpoints/k", {"a": {"record": "r-mine"}})
        workspace.write("checkpoints/k/latest.json", b"{}")
        use_machine(monkeypatch, tmp_path, "two")
        done = purge(Workspace(place), "r-mine", outputs=False)
        assert done.remaining == ()
        left = [name.removeprefix(f"{prefix(place)}/") for name in server.names(f"{prefix(place)}/")]
        assert [name for name in left if not name.startswith("lineage/")] == [other["path"]]
        assert [origin.records for origin in Lineage(Workspace(place)).read()] == [{"r-other"}]
