import numpy as np
import pytest

from faceswap_core import manifest
from faceswap_core.config import AlignSettings, MaskSettings, TrackSettings
from faceswap_core.errors import SettingsError
from faceswap_core.faces.dense import _NUMBERS, OVAL, RIGID_TEMPLATE, fit_dense
from faceswap_core.faces.geometry import apply, similarity_matrix
from faceswap_core.schemas import ALIGNED, DETECTIONS, MASKS, TRACKS
from faceswap_core.stages.align import align_landmarks
from faceswap_core.stages.images import unpack
from faceswap_core.stages.track import track_faces


def rows_of(chain, refs, schema):
    return [row for ref in refs for row in manifest.stream(chain.workspace, ref, schema)]


@pytest.fixture(scope="module")
def meshed(chain, plate):
    """TRACKS of the plate as a detector finds it that gives meshes: rigid points by the template, an oval around."""
    angle = np.linspace(0, 2 * np.pi, len(OVAL), endpoint=False)
    refs = []
    for ref in plate.detections:
        rows = []
        for row in manifest.stream(chain.workspace, ref, DETECTIONS):
            five = np.array(row["points5"]).reshape(5, 2)
            unit = np.linalg.norm(five[1] - five[0])
            mesh = np.tile(five.mean(0), (468, 1))
            mesh[list(OVAL)] = five.mean(0) + unit * np.stack([1.1 * np.cos(angle), 1.5 * np.sin(angle)], axis=1)
            mesh[_NUMBERS] = five[:2].mean(0) + 0.98 * unit * RIGID_TEMPLATE + [3, 2]
            rows.append(row | {"points_dense": mesh.ravel().tolist()})
        refs.append(manifest.publish(chain.workspace, "t", "meshed", DETECTIONS, rows))
    return track_faces(chain.workspace, plate.frames, refs, "a", TrackSettings())


def test_tracks_carry_meshes_moved_as_the_points_were_steadied(chain, meshed):
    rows = rows_of(chain, meshed, TRACKS)
    assert len(rows) == 40
    for row in rows:
        mesh = np.array(row["points_dense"]).reshape(468, 2)
        raw, steady = (np.array(row[n]).reshape(5, 2).mean(0) for n in ("points5_raw", "points5"))
        oval = mesh[list(OVAL)].mean(0)
        assert np.abs(oval - raw).max() < 3, "it stays on the face"
        assert np.abs(oval - steady).max() < 3


def test_place_by_the_mesh_lays_the_rigid_points_on_the_template(chain, meshed):
    for row in rows_of(chain, meshed, TRACKS):
        mesh = np.array(row["points_dense"]).reshape(468, 2)
        there = apply(similarity_matrix(np.array(row["similarity_dense"])), RIGID_TEMPLATE)
        unit = float(np.hypot(*row["similarity_dense"][:2]))
        assert np.abs(there - mesh[_NUMBERS]).max() < 0.06 * unit
        np.testing.assert_allclose(np.hypot(*fit_dense(mesh)[:2]), unit, rtol=0.03)


def test_without_meshes_a_dense_fit_is_refused_and_five_points_serve(chain, plate):
    rows = rows_of(chain, plate.tracks, TRACKS)
    if rows[0]["similarity_dense"] is not None:
        pytest.skip("this detector gives meshes")
    with pytest.raises(SettingsError, match=r"align\.fit is 'dense'.*'five'"):
        align_landmarks(
            chain.workspace, plate.video, plate.frames[0], plate.tracks[0], AlignSettings(size=64, fit="dense")
        )


@pytest.mark.parametrize("view", ["inner", "head"])
def test_chips_of_a_view_show_the_eyes_where_it_says(chain, plate, view):
    settings = AlignSettings(size=64, view=view)
    ref = align_landmarks(chain.workspace, plate.video, plate.frames[0], plate.tracks[0], settings)
    for row in manifest.stream(chain.workspace, ref, ALIGNED):
        left, right, *_ = np.array(row["points5"]).reshape(5, 2)
        wanted = settings.eye_distance * settings.coverage * 64
        assert np.linalg.norm(right - left) == pytest.approx(wanted, rel=0.2)
        below = (31.5 - (left + right)[1] / 2) / wanted
        assert below == pytest.approx(settings.centre, abs=0.25)


def test_explicit_numbers_win_over_the_view():
    settings = AlignSettings(view="head", eye_distance=0.3)
    assert (settings.eye_distance, settings.centre) == (0.3, 0.0)
    assert AlignSettings() == AlignSettings(view="face")


def test_a_dense_fit_and_its_mask_follow_the_mesh(chain, plate, meshed):
    five, dense = (
        align_landmarks(chain.workspace, plate.video, plate.frames[0], meshed[0], AlignSettings(size=64, fit=fit))
        for fit in ("five", "dense")
    )
    one, other = (next(manifest.stream(chain.workspace, ref, ALIGNED)) for ref in (five, dense))
    assert one["matrix"] != other["matrix"]
    assert one["eyes_open"] is not None
    oval, template = (
        next(manifest.stream(chain.workspace, chain.masked([five], MaskSettings(hull=hull))[0]["masks"], MASKS))
        for hull in ("auto", "template")
    )
    drawn, bent = (unpack(row["mask"]) > 127 for row in (oval, template))
    top, wanted = np.flatnonzero(drawn.any(1))[0], np.array(one["points_dense"]).reshape(468, 2)[list(OVAL), 1].min()
    assert top == pytest.approx(wanted, abs=1)
    assert top < np.flatnonzero(bent.any(1))[0], "the forehead is inside"


def test_other_masks_leave_the_chips_alone(chain, plate):
    aligned = [chunk["aligned"] for chunk in plate.aligned]
    again = chain.masked(aligned, MaskSettings(erode_top=0.2))
    assert [c["aligned"] for c in again] == aligned
    before, after = (rows_of(chain, [c["masks"] for c in chunks], MASKS) for chunks in (plate.aligned, again))
    for old, new in zip(before, after, strict=True):
        assert new["color_weight"] < old["color_weight"]
