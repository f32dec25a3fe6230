"""What smooth-frames writes beside the patch: opacity, motion, colours, the plate's mask."""

from itertools import pairwise

import cv2
import numpy as np
import pytest

from faceswap_core import manifest
from faceswap_core.config import AlignSettings, SmoothSettings
from faceswap_core.faces.color_transfer import ColorStats, measure_colors
from faceswap_core.schemas import MASKS, NO_APART, SMOOTHED, SWAPPED
from faceswap_core.stages.images import pack, unpack
from faceswap_core.stages.smooth import smooth_frames
from faceswap_core.storage import Workspace

OFF = SmoothSettings(strength=0)
ALIGN = AlignSettings(size=64, coverage=0.5)


def row(frame, grey=100, to_edge=None, shift=0.0, alpha=255):
    patch = np.full((32, 32, 4), grey, np.uint8)
    patch[..., 3] = alpha
    return {
        "frame_index": frame,
        "face_index": 0,
        "track_id": 0,
        "shot": 0,
        "to_edge": to_edge,
        "patch": pack(patch),
        "view": pack(np.full((32, 32, 3), grey // 2, np.uint8)),
        "matrix": [0.5, 0, -shift, 0, 0.5, 0],
    }


@pytest.fixture
def run(tmp_path):
    workspace = Workspace(tmp_path)

    def run(rows, settings=None, masks=None):
        swapped = manifest.publish(workspace, "s", "swapped", SWAPPED, rows)
        covers = manifest.publish(workspace, "s", "masks", MASKS, masks) if masks else None
        ref = smooth_frames(workspace, 0, swapped, covers, [], [], ALIGN, settings or SmoothSettings(radius=2))
        return list(manifest.stream(workspace, ref, SMOOTHED))

    return run


def test_a_face_that_enters_is_faded_in(run):
    rows = [row(t, to_edge=t) for t in range(5)]
    assert [r["opacity"] for r in run(rows, SmoothSettings(fade=3))] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert [r["opacity"] for r in run(rows, SmoothSettings(fade=0))] == [1.0] * 5


def test_a_face_that_stays_is_shown_whole(run):
    assert [r["opacity"] for r in run([row(t) for t in range(3)])] == [1.0] * 3


def test_motion_is_that_of_the_patchs_centre_in_the_frame(run):
    out = run([row(t, shift=-1.5 * t) for t in range(5)])
    np.testing.assert_allclose([r["motion"] for r in out], [[-3.0, 0]] * 5, atol=1e-5)
    assert run([row(0)])[0]["motion"] == [0, 0]


def test_mean_colours_are_those_of_the_patch_and_view_that_are_handed_on(run):
    """A mean that lags behind its patch would be taken for a difference to the plate, and flicker."""
    greys = [100, 100, 130, 100, 100]
    for how in (SmoothSettings(radius=2, strength=1), OFF):
        for out, grey in zip(run([row(t, grey) for t, grey in enumerate(greys)], how), greys, strict=True):
            shown, view = ColorStats.from_flat(out["patch_colors"]), ColorStats.from_flat(out["view_colors"])
            np.testing.assert_allclose(shown.mean, unpack(out["patch"])[..., :3].mean((0, 1)), rtol=1e-6)
            assert view.mean[0] == grey // 2


def test_the_spread_of_colours_is_averaged_over_time_and_not_when_switched_off(run):
    rng = np.random.default_rng(0)
    spreads = [10, 10, 30, 10, 10]
    rows = []
    for t, spread in enumerate(spreads):
        patch = np.dstack([rng.normal(128, spread, (32, 32, 3)), np.full((32, 32), 255)])
        rows.append(row(t) | {"patch": pack(np.clip(patch, 0, 255).astype(np.uint8))})
    steady, raw = (
        np.array([ColorStats.from_flat(r["patch_colors"]).covariance[0, 0] for r in run(rows, how)])
        for how in (SmoothSettings(radius=2, strength=1), OFF)
    )
    np.testing.assert_allclose(np.sqrt(raw), spreads, rtol=0.1)
    weights = np.array([0.25, 0.75, 1, 0.75, 0.25])  # Hann's over two frames to each side
    np.testing.assert_allclose(steady[2], raw @ weights / weights.sum(), rtol=1e-6)
    np.testing.assert_allclose(steady[0], raw[:3] @ weights[2:] / weights[2:].sum(), rtol=1e-6)


def test_how_plate_and_patch_are_apart_is_averaged_over_time(run):
    """Between means there is nothing apart here, but a bright corner of the plate in one frame."""
    rows = [row(t) for t in range(5)]
    view = np.full((32, 32, 3), 50, np.uint8)
    view[:8, :8] = 114
    rows[2]["view"] = pack(view)
    corner, rest = (
        [[float(unpack(r["apart"])[at].mean()) - NO_APART for r in run(rows, how)] for how in (SmoothSettings(), OFF)]
        for at in ((slice(2, 6), slice(2, 6)), (slice(12, 20), slice(12, 20)))
    )
    np.testing.assert_allclose(corner[1], [0, 0, 60, 0, 0], atol=1)
    np.testing.assert_allclose(corner[0][2], 60 / 3, atol=1)  # weights of the five frames: 0.25, 0.75, 1, 0.75, 0.25
    np.testing.assert_allclose(rest[1], [0, 0, -4, 0, 0], atol=1)
    assert run([row(0, alpha=0)])[0]["apart"] is None


def test_colours_are_those_under_the_patchs_alpha(run):
    half = np.zeros((32, 32), np.uint8)
    half[:16] = 255
    image = np.zeros((32, 32, 4), np.uint8)
    image[:16, :, :3], image[16:, :, :3], image[..., 3] = 40, 200, half
    (out,) = run([row(0) | {"patch": pack(image)}])
    np.testing.assert_allclose(out["patch_colors"], measure_colors(image[..., :3], half).flat(), rtol=1e-6)
    (out,) = run([row(0, alpha=0)])
    assert out["patch_colors"] is None
    assert out["view_colors"] is None


def test_the_plates_mask_lies_in_the_pixels_of_its_patch(run):
    """The patch shows the inner half of the chip."""
    chip = cv2.circle(np.zeros((64, 64), np.uint8), (32, 32), 8, 255, -1)
    mask = {"frame_index": 0, "face_index": 0, "mask": pack(chip)}
    (out,) = run([row(0)], masks=[mask])
    cover = unpack(out["mask"])
    assert cover.shape == (32, 32)
    np.testing.assert_allclose(cover, chip[16:48, 16:48], atol=1)
    assert [r["mask"] for r in run([row(0), row(1)], masks=[mask])][1] is None


def test_what_lies_before_the_face_is_left_out_of_the_plates_mask(run):
    free = np.full((32, 32), 255, np.uint8)
    free[16:] = 0
    mask = {"frame_index": 0, "face_index": 0, "mask": pack(np.full((64, 64), 200, np.uint8))}
    (out,) = run([row(0) | {"free": pack(free)}], masks=[mask])
    np.testing.assert_array_equal(unpack(out["mask"]), np.where(free, 200, 0))


def gliding(frames, cut):
    """Rows of a textured face that glides and flickers, with another shot from frame ``cut`` on."""
    rng = np.random.default_rng(0)
    texture = cv2.GaussianBlur(rng.integers(0, 256, (80, 80, 3), np.uint8), (0, 0), 2)
    rows = []
    for t in range(frames):
        view = np.ascontiguousarray(texture[10:42, 5 + t : 37 + t])
        drawn = np.clip(view + rng.normal(0, 5, view.shape), 0, 255).astype(np.uint8)
        patch = np.dstack([drawn, np.full((32, 32), 255, np.uint8)])
        rows.append(row(t, shift=-1.5 * t) | {"patch": pack(patch), "view": pack(view), "shot": int(t >= cut)})
    return rows


def smoothed(workspace, sizes):
    settings = SmoothSettings(radius=3)
    rows, ends = gliding(24, cut=15), np.cumsum([0, *sizes])
    refs = [
        manifest.publish(workspace, "s", f"part-{i}", SWAPPED, rows[start:end])
        for i, (start, end) in enumerate(pairwise(ends))
    ]
    made = []
    for i, ref in enumerate(refs):
        low, high = ends[i] - settings.radius, ends[i + 1] + settings.radius
        before = [refs[n] for n in range(i) if ends[n + 1] > low]
        after = [refs[n] for n in range(i + 1, len(refs)) if ends[n] < high]
        made.append(smooth_frames(workspace, i, ref, None, before, after, ALIGN, settings))
    return [r for ref in made for r in manifest.stream(workspace, ref, SMOOTHED)]


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    """A workspace, and rows of SMOOTHED of all frames in one chunk."""
    workspace = Workspace(tmp_path_factory.mktemp("one"))
    return workspace, smoothed(workspace, [24])


class TestChunkBorders:
    """Equal rows in one chunk and in others: no patch may tell where chunks ended."""

    @pytest.mark.parametrize("sizes", [(1, 5, 2, 15, 1), (10, 1, 1, 12), (8, 16)])
    def test_uneven_chunks_shorter_than_the_reach_give_bit_equal_rows(self, one, sizes):
        workspace, wanted = one
        assert smoothed(workspace, sizes) == wanted

    def test_without_its_neighbours_a_chunk_would_show_its_border(self, one):
        workspace, wanted = one
        ref = manifest.publish(workspace, "s", "alone", SWAPPED, gliding(24, cut=15)[8:])
        alone = smooth_frames(workspace, 0, ref, None, [], [], ALIGN, SmoothSettings(radius=3))
        found = list(manifest.stream(workspace, alone, SMOOTHED))
        assert found[0] != wanted[8]
        assert found[4:] == wanted[12:]

    def test_nothing_is_averaged_across_a_cut(self, one):
        workspace, wanted = one
        ref = manifest.publish(workspace, "s", "shot", SWAPPED, gliding(24, cut=15)[15:])
        alone = smooth_frames(workspace, 0, ref, None, [], [], ALIGN, SmoothSettings(radius=3))
        assert list(manifest.stream(workspace, alone, SMOOTHED)) == wanted[15:]


def test_switched_off_everything_is_passed_as_it_came(run):
    rows = [row(t, 90 + 10 * t, to_edge=t) for t in range(4)]
    for given, out in zip(rows, run(rows, OFF), strict=True):
        assert {k: out[k] for k in given} == given
        assert out["opacity"] == 1.0
