import cv2
import numpy as np
import pytest

from faceswap_core import layout, manifest
from faceswap_core.config import AlignSettings
from faceswap_core.errors import ManifestError, NoFaceError, SettingsError
from faceswap_core.faces.geometry import template5
from faceswap_core.schemas import ALIGNED, SELECTION
from faceswap_core.stages.align import AlignedChunk, figures
from faceswap_core.stages.faceset import COLUMNS, Faceset, record_faceset
from faceswap_core.stages.images import pack, unpack
from faceswap_core.stages.selection import current_selection, dropped_faces
from faceswap_core.storage import Workspace

ALIGN = AlignSettings(size=64)
VIDEO = {"a": "a" * 64, "b": "b" * 64}


def face(*, gain=1.0, mouth=0, soft=0.0, seed=0):
    """A drawn face (64, 64, 3): an ellipse with eyes and a mouth that is ``mouth`` px open."""
    noise = np.random.default_rng(seed).normal(0, 3, (64, 64, 1))
    image = np.full((64, 64, 3), 60, np.uint8)
    cv2.ellipse(image, (32, 34), (18, 24), 0, 0, 360, (200, 150, 120), -1)
    for x in (24, 40):
        cv2.circle(image, (x, 24), 2, (30, 20, 20), -1)
    cv2.ellipse(image, (32, 43), (6, 1 + mouth), 0, 0, 360, (110, 30, 40), -1)
    lit = np.clip(image * gain + noise, 0, 255).astype(np.uint8)
    return cv2.GaussianBlur(lit, (0, 0), soft) if soft else lit


def row(frame_index, subject, chip, **changes):
    return (
        {
            "frame_index": frame_index,
            "face_index": 0,
            "track_id": 0,
            "shot": 0,
            "subject": subject,
            "interpolated": False,
            "score": 1.0,
            "matrix": [1.0, 0, 0, 0, 1.0, 0],
            "chip": pack(chip),
            "points5": template5().ravel().tolist(),
            "size": 100.0,
            "yaw": 0.0,
            "pitch": 0.0,
            "roll": 0.0,
            "video": VIDEO[subject],
        }
        | figures(chip, template5(), ALIGN)
        | changes
    )


def publish(workspace, rows_by_subject):
    sides = {}
    for subject, rows in rows_by_subject.items():
        ref = manifest.publish(workspace, layout.ALIGNED, f"aligned-{subject}", ALIGNED, rows)
        sides[subject] = {f"{subject}.mp4": [AlignedChunk(aligned=ref, masks=ref)]}
    record_faceset(workspace, sides)


@pytest.fixture
def workspace(tmp_path):
    """Ten faces of a, the last blurred, with yaw 0, 10 .. 90; six of b."""
    place = Workspace(tmp_path)
    a = [row(i, "a", face(soft=3.0 if i == 9 else 0, seed=i), yaw=10.0 * i) for i in range(10)]
    b = [row(i, "b", face(gain=0.5 + 0.1 * i, seed=50 + i)) for i in range(6)]
    publish(place, {"a": a, "b": b})
    return place


def kept(workspace):
    table = Faceset.open(workspace.root).to_pandas()
    return {s: part["frame_index"][part["keep"]].tolist() for s, part in table.groupby("subject")}


ALL = {"a": list(range(10)), "b": list(range(6))}


class TestTable:
    def test_it_has_every_column_that_expressions_name(self, workspace):
        table = Faceset.open(workspace.root).to_pandas()
        assert set(COLUMNS) <= set(table.columns)
        assert (len(table), table["keep"].all(), set(table["source"])) == (16, True, {"a.mp4", "b.mp4"})
        blurred = table[(table["subject"] == "a") & (table["frame_index"] == 9)]
        assert blurred["sharpness"].item() < 0.3 * table["sharpness"].median()
        assert table[table["subject"] == "b"]["exposure"].is_monotonic_increasing

    def test_workspace_without_faces_says_what_to_do(self, tmp_path):
        with pytest.raises(ManifestError, match="faceswap run"):
            Faceset.open(tmp_path)
        publish(Workspace(tmp_path), {})
        with pytest.raises(NoFaceError):
            Faceset.open(tmp_path)

    @pytest.mark.parametrize("text", ["", "{}", "[]", '{"subjects": {"a": [{"source": 1}]}}', '{"subjects": 3}'])
    def test_pointer_that_is_none_is_refused(self, workspace, text):
        (workspace.root / layout.FACESETS / "current.json").write_text(text)
        with pytest.raises(ManifestError, match="names no faceset"):
            Faceset.open(workspace.root)


class TestChoice:
    def test_without_a_selection_every_face_is_kept(self, workspace):
        assert current_selection(workspace) is None
        assert dropped_faces(workspace, None) == frozenset()
        assert kept(workspace) == ALL

    def test_dropped_faces_are_those_that_match(self, workspace):
        ref = Faceset.open(workspace.root).drop("abs(yaw) > 55 or sharpness < 1")
        assert kept(workspace) == {"a": [0, 1, 2, 3, 4, 5], "b": ALL["b"]}
        assert current_selection(workspace) == ref
        assert dropped_faces(workspace, ref) == {(VIDEO["a"], i, 0) for i in (6, 7, 8, 9)}
        reasons = {r["reason"] for r in manifest.stream(workspace, ref, SELECTION) if not r["keep"]}
        assert reasons == {"abs(yaw) > 55 or sharpness < 1"}

    def test_each_choice_is_a_new_file_and_no_other_is_touched(self, workspace):
        first = Faceset.open(workspace.root).drop("yaw > 75")
        data = workspace.path(first["path"]).read_bytes()
        second = Faceset.open(workspace.root).drop("yaw > 45", subject="a")
        assert first["path"] != second["path"]
        assert workspace.path(first["path"]).read_bytes() == data
        assert kept(workspace)["a"] == [0, 1, 2, 3, 4]

    def test_kept_again(self, workspace):
        Faceset.open(workspace.root).drop("yaw > 45 or subject == 'b' and frame_index > 2")
        Faceset.open(workspace.root).keep("yaw > 65")
        assert kept(workspace) == {"a": [0, 1, 2, 3, 4, 7, 8, 9], "b": [0, 1, 2]}
        Faceset.open(workspace.root).keep(subject="b")
        assert kept(workspace)["b"] == ALL["b"]
        Faceset.open(workspace.root).keep()
        assert kept(workspace) == ALL

    def test_only_these(self, workspace):
        Faceset.open(workspace.root).keep("frame_index in (1, 3)", only=True)
        assert kept(workspace) == {"a": [1, 3], "b": [1, 3]}

    @pytest.mark.parametrize("where", ["yaw >= 0", "subject == 'b'"])
    def test_nobody_may_be_left_without_a_face(self, workspace, where):
        with pytest.raises(SettingsError, match="nothing was changed"):
            Faceset.open(workspace.root).drop(where)
        assert kept(workspace) == ALL

    def test_unknown_subject_is_refused(self, workspace):
        with pytest.raises(SettingsError, match=r"'zoe'.*\['a', 'b'\]"):
            Faceset.open(workspace.root).drop("yaw > 1", subject="zoe")

    def test_altered_selection_is_refused(self, workspace):
        ref = Faceset.open(workspace.root).drop("yaw > 75")
        path = workspace.path(ref["path"])
        path.write_bytes(path.read_bytes() + b"\0")
        with pytest.raises(ManifestError, match="altered"):
            current_selection(workspace)


class TestBest:
    @pytest.fixture
    def many(self, tmp_path):
        """Sixty faces of a: fifty alike, ten with open mouths, odd light or turned; three blurred ones among these."""
        place = Workspace(tmp_path)
        rows = [row(i, "a", face(seed=i)) for i in range(50)]
        rows += [row(50 + i, "a", face(mouth=2 + i, seed=60 + i)) for i in range(3)]
        rows += [row(53 + i, "a", face(gain=g, seed=70 + i)) for i, g in enumerate((0.4, 0.7, 1.2))]
        rows += [row(56 + i, "a", face(seed=80 + i), yaw=y) for i, y in enumerate((-40.0, 25.0, 50.0))]
        rows += [row(59, "a", face(soft=2.5, seed=90), yaw=50.0)]
        publish(place, {"a": rows})
        return place

    def test_the_different_ones_are_among_the_best(self, many):
        Faceset.open(many.root).best(7)
        chosen = set(kept(many)["a"])
        assert len(chosen) == 7
        assert {53, 56, 58} <= chosen, "the darkest, and those turned farthest"
        assert chosen & {50, 51, 52}, "an open mouth"
        assert 59 not in chosen, "of two alike the sharp one is taken"

    def test_it_is_the_same_each_time_and_a_second_may_take_more(self, many):
        first = Faceset.open(many.root).best(8)
        more = Faceset.open(many.root).best(12)
        assert len(kept(many)["a"]) == 12
        assert Faceset.open(many.root).best(8)["sha256"] == first["sha256"] != more["sha256"]

    def test_what_was_dropped_stays_out(self, many):
        Faceset.open(many.root).drop("yaw > 20")
        Faceset.open(many.root).best(1000)
        assert set(kept(many)["a"]).isdisjoint({57, 58, 59})

    def test_interpolated_faces_stay_out(self, tmp_path):
        place = Workspace(tmp_path)
        publish(place, {"a": [row(i, "a", face(seed=i), interpolated=i == 3) for i in range(8)]})
        Faceset.open(place.root).best(8)
        assert kept(place)["a"] == [0, 1, 2, 4, 5, 6, 7]

    def test_none_is_refused(self, many):
        with pytest.raises(SettingsError, match="above 0"):
            Faceset.open(many.root).best(0)


class TestSheet:
    def test_the_worst_come_first_and_dropped_ones_are_framed(self, workspace):
        Faceset.open(workspace.root).drop("yaw > 85")
        faces = Faceset.open(workspace.root)
        image = unpack({"bytes": faces.sheet(by="-sharpness", subject="a", count=4), "path": None})
        assert image.shape[1] == 10 * 112
        assert image[0, 50].tolist() == [230, 60, 60], "the blurred face, which was dropped, is the first"
        assert image[0, 112 + 50].tolist() != [230, 60, 60]
        assert (image[:112, 4 * 112 :] == image[0, -1]).all(), "four faces"

    def test_pictures_are_those_of_the_rows(self, workspace):
        faces = Faceset.open(workspace.root)
        last, first = faces.pictures([15, 0])
        assert (last == face(gain=1.0, seed=55)).all()
        assert (first == face(seed=0)).all()

    @pytest.mark.parametrize("by", ["reason", "nothing", "chip"])
    def test_it_cannot_be_ordered_by_what_is_no_number(self, workspace, by):
        with pytest.raises(SettingsError, match="column of numbers"):
            Faceset.open(workspace.root).sheet(by=by)

    def test_nothing_to_show_is_said(self, workspace):
        with pytest.raises(NoFaceError):
            Faceset.open(workspace.root).sheet("yaw > 1000")
