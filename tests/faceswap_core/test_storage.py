import errno
import hashlib
import os
import subprocess
from types import SimpleNamespace

import pytest
import torch

from faceswap_core import localfile, manifest
from faceswap_core.errors import DiskFullError, EnvironmentFault, ManifestError, SettingsError
from faceswap_core.models.checkpoint import save_weights
from faceswap_core.schemas import REPORT
from faceswap_core.storage import Workspace, atomic_path, file_ref, free_bytes, sha256_file


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path / "ws")


@pytest.fixture
def tiny_disk(tmp_path):
    """A real file system of 64 KiB; skipped where this process may not mount one."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def write_half(final, error):
    with atomic_path(final) as temporary:
        temporary.write_text("half")
        raise error


def all_files(folder):
    return [p for p in folder.rglob("*") if p.is_file()]


class TestAtomicPath:
    def test_file_appears_whole_with_its_content(self, tmp_path):
        final = tmp_path / "new" / "a.txt"
        with atomic_path(final) as temporary:
            temporary.write_text("all")
            assert not final.exists()
            assert temporary.parent == final.parent
        assert final.read_text() == "all"
        assert all_files(tmp_path) == [final]
        assert final.stat().st_mode & 0o777 == 0o644

    @pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, OSError(errno.EIO, "broken")])
    def test_error_leaves_nothing_behind(self, tmp_path, error):
        final = tmp_path / "a.txt"
        with pytest.raises((RuntimeError, KeyboardInterrupt, OSError)):
            write_half(final, error)
        assert all_files(tmp_path) == []

    def test_error_keeps_the_file_that_was_there(self, tmp_path):
        final = tmp_path / "a.txt"
        final.write_text("old")
        with pytest.raises(RuntimeError):
            write_half(final, RuntimeError)
        assert final.read_text() == "old"
        assert all_files(tmp_path) == [final]

    @pytest.mark.parametrize("call", ["fsync", "replace"])
    @pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
    def test_full_disk_is_our_error_and_leaves_nothing(self, tmp_path, monkeypatch, call, number):
        def full(*_):
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(localfile.os, call, full)
        with pytest.raises(DiskFullError, match="free some space") as caught, atomic_path(tmp_path / "a") as temporary:
            temporary.write_text("x")
        assert caught.value.exit_code == 3
        assert isinstance(caught.value, EnvironmentFault)
        assert all_files(tmp_path) == []

    def test_other_faults_of_the_disk_stay_what_they_are(self, tmp_path, monkeypatch):
        def broken(*_):
            raise OSError(errno.EIO, "broken")

        monkeypatch.setattr(localfile.os, "fsync", broken)
        with pytest.raises(OSError, match="broken") as caught, atomic_path(tmp_path / "a"):
            pass
        assert caught.value.errno == errno.EIO
        assert all_files(tmp_path) == []


class TestFullDisk:
    def test_publishing_bytes_is_refused_and_leaves_nothing(self, tiny_disk):
        with pytest.raises(DiskFullError) as caught:
            Workspace(tiny_disk).publish_bytes("x", "big", ".bin", os.urandom(200_000))
        assert caught.value.exit_code == 3
        assert all_files(tiny_disk) == []

    def test_publishing_a_manifest_is_refused_and_leaves_nothing(self, tiny_disk):
        rows = ({"check": os.urandom(2000).hex(), "passed": True, "detail": ""} for _ in range(200))
        with pytest.raises(DiskFullError):
            manifest.publish(Workspace(tiny_disk), "x", "report", REPORT, rows)
        assert all_files(tiny_disk) == []

    def test_saving_weights_is_refused_and_leaves_nothing(self, tiny_disk):
        workspace = Workspace(tiny_disk)
        with pytest.raises(DiskFullError), workspace.scratch(".safetensors") as temporary:
            save_weights(temporary, torch.nn.Linear(200, 200), {})
        assert all_files(tiny_disk) == []


class TestPublish:
    def test_name_carries_the_digest(self, workspace):
        ref = workspace.publish_bytes("folder", "plan", ".json", b"{}")
        digest = hashlib.sha256(b"{}").hexdigest()
        assert ref == {"path": f"folder/plan-{digest[:12]}.json", "sha256": digest, "size": 2}
        assert workspace.path(ref["path"]).read_bytes() == b"{}"

    def test_moved_file_carries_the_digest_and_leaves_its_old_place(self, workspace):
        with workspace.scratch(".bin") as temporary:
            temporary.write_bytes(b"abc")
            ref = workspace.publish_file("folder", "thing", temporary)
            assert not temporary.exists()
        digest = hashlib.sha256(b"abc").hexdigest()
        assert ref == {"path": f"folder/thing-{digest[:12]}.bin", "sha256": digest, "size": 3}
        assert workspace.path(ref["path"]).read_bytes() == b"abc"

    def test_published_files_can_be_read_by_other_users(self, workspace):
        with workspace.scratch(".bin") as temporary:
            temporary.write_bytes(b"abc")
            moved = workspace.publish_file("folder", "thing", temporary)
        for ref in (moved, workspace.publish_bytes("folder", "thing", ".txt", b"abc")):
            assert workspace.path(ref["path"]).stat().st_mode & 0o777 == 0o644

    def test_same_bytes_are_not_written_again(self, workspace):
        first = workspace.path(workspace.publish_bytes("f", "n", ".b", b"same")["path"])
        inode = first.stat().st_ino
        workspace.publish_bytes("f", "n", ".b", b"same")
        assert first.stat().st_ino == inode

    def test_altered_file_is_replaced_by_the_right_one(self, workspace):
        path = workspace.path(workspace.publish_bytes("f", "n", ".b", b"same")["path"])
        path.write_bytes(b"evil")
        workspace.publish_bytes("f", "n", ".b", b"same")
        assert path.read_bytes() == b"same"

    def test_scratch_is_gone_afterwards_even_after_an_error(self, workspace):
        seen = []

        def fail():
            with workspace.scratch(".x") as temporary:
                seen.append(temporary)
                assert temporary.exists()
                raise RuntimeError

        with pytest.raises(RuntimeError):
            fail()
        assert seen[0].suffix == ".x"
        assert seen[0].is_relative_to(workspace.root)
        assert not seen[0].exists()

    def test_clear_scratch_removes_what_a_killed_run_left_and_nothing_else(self, workspace):
        killed = subprocess.Popen(["sleep", "60"])
        killed.kill()
        killed.wait()
        with workspace.scratch(".x") as mine:
            own = mine.parent
            folders = {
                kind: own.parent / name
                for kind, name in {
                    "dead": own.name.replace(str(os.getpid()), str(killed.pid)),
                    "elsewhere": f"another-host-{killed.pid}",
                }.items()
            }
            for folder in folders.values():
                folder.mkdir()
                (folder / "half.mp4").write_text("")
            workspace.clear_scratch()
            assert mine.exists(), "a running process keeps its files"
        assert not folders["dead"].exists()
        assert folders["elsewhere"].exists()


class TestWorkspacePaths:
    @pytest.mark.parametrize("bad", ["../x", "a/../../x", "/etc/passwd", "link/x"])
    def test_path_that_leaves_the_workspace_is_refused(self, workspace, tmp_path, bad):
        workspace.root.mkdir()
        (workspace.root / "link").symlink_to(tmp_path)
        with pytest.raises(ManifestError, match="leaves the workspace"):
            workspace.path(bad)

    def test_relative_is_the_inverse_of_path(self, workspace):
        assert workspace.relative(workspace.path("a/b.parquet")) == "a/b.parquet"

    @pytest.mark.parametrize("root", ["file:///x", "gs://bucket/x", "s3://b", "s3://bucket/../x", "s3:/bucket/x"])
    def test_other_urls_are_refused_by_name(self, root):
        with pytest.raises(SettingsError, match="no place for a workspace: name a folder or s3://"):
            Workspace(root)

    def test_secret_in_an_address_is_not_repeated(self):
        with pytest.raises(SettingsError) as caught:
            Workspace("s3://key:secret@bucket/x")
        assert "secret" not in str(caught.value).replace("AWS_SECRET_ACCESS_KEY", "")

    def test_free_bytes_of_a_folder_that_is_not_there_yet(self, tmp_path):
        assert free_bytes(tmp_path / "a" / "b") > 0


class TestDigest:
    def test_digest_is_sha256(self, tmp_path):
        path = tmp_path / "a"
        path.write_bytes(b"abc")
        assert sha256_file(path) == hashlib.sha256(b"abc").hexdigest()
        assert file_ref(path) == {"path": str(path), "sha256": sha256_file(path), "size": 3}

    def test_rewrite_of_the_same_size_is_noticed(self, tmp_path):
        path = tmp_path / "a"
        path.write_bytes(b"aaa")
        before = sha256_file(path)
        path.write_bytes(b"bbb")
        assert sha256_file(path) == hashlib.sha256(b"bbb").hexdigest() != before

    def test_rewrite_that_puts_the_time_back_is_noticed(self, tmp_path):
        path = tmp_path / "a"
        path.write_bytes(b"aaa")
        old = path.stat()
        sha256_file(path)
        path.write_bytes(b"bbb")
        os.utime(path, ns=(old.st_atime_ns, old.st_mtime_ns))
        assert sha256_file(path) == hashlib.sha256(b"bbb").hexdigest()

    def test_rewrite_within_one_tick_of_a_coarse_clock_is_noticed(self, tmp_path):
        now = localfile.time.time_ns()

        class Coarse(type(tmp_path)):
            """A path on a file system whose clock stood still since ``now``."""

            def stat(self):
                real = os.stat(self)
                return SimpleNamespace(st_size=real.st_size, st_ino=real.st_ino, st_mtime_ns=now, st_ctime_ns=now)

        path = Coarse(tmp_path / "a")
        path.write_bytes(b"aaa")
        sha256_file(path)
        path.write_bytes(b"bbb")
        assert sha256_file(path) == hashlib.sha256(b"bbb").hexdigest()

    def test_settled_file_is_read_once(self, tmp_path, monkeypatch):
        path = tmp_path / "a"
        path.write_bytes(b"aaa")
        later = localfile.time.time_ns() + 10**9
        monkeypatch.setattr(localfile.time, "time_ns", lambda: later)
        reads = []
        real = hashlib.file_digest
        monkeypatch.setattr(localfile.hashlib, "file_digest", lambda *a: reads.append(1) or real(*a))
        assert sha256_file(path) == sha256_file(path)
        assert len(reads) == 1

    def test_holds_only_the_very_file(self, workspace):
        ref = workspace.publish_bytes("f", "n", ".b", b"same")
        assert workspace.holds(ref["path"], ref["sha256"])
        assert workspace.holds(str(workspace.path(ref["path"])), ref["sha256"])
        assert not workspace.holds(ref["path"], "0" * 64)
        workspace.path(ref["path"]).write_bytes(b"evil")
        assert not workspace.holds(ref["path"], ref["sha256"])
        workspace.path(ref["path"]).unlink()
        assert not workspace.holds(ref["path"], ref["sha256"])
