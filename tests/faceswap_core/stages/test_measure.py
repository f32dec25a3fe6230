from pathlib import Path

import cv2
import numpy as np
import pytest

from faceswap_core import manifest
from faceswap_core.config import (
    BlendSettings,
    DetectSettings,
    EncodeSettings,
    MaskSettings,
    QualitySettings,
    RuntimeSettings,
    SwapTarget,
)
from faceswap_core.errors import SettingsError
from faceswap_core.faces.border import SIDE
from faceswap_core.quality.identity_net import as_bytes, learned
from faceswap_core.schemas import ALIGNED, NO_APART, QUALITY, SMOOTHED, TRACKS
from faceswap_core.stages.beside import Footage
from faceswap_core.stages.composites import composite, laid, place_of
from faceswap_core.stages.decode import read_frames
from faceswap_core.stages.encode import reencode_chunk
from faceswap_core.stages.images import pack, unpack
from faceswap_core.stages.measure import Sample, measure_quality, unmeasured
from faceswap_core.stages.paste import patches_by_frame
from faceswap_core.stages.quality_report import load_quality, quality_report
from faceswap_core.stages.unsteadied import measured_chunks, measured_of_each, steady_sample, swap_unsteadied
from faceswap_core.video.colour import to_rgb
from faceswap_core.video.patch import edit_rect

MTCNN = DetectSettings(backend="mtcnn")
BLEND = BlendSettings()
RUNTIME = RuntimeSettings(device="cpu", threads=1)


@pytest.fixture(scope="module")
def truth(chain, clip_truth):
    faceset = chain.faceset(Path(clip_truth["video"]["path"]), "b")
    return Footage(video=faceset.video, frames=faceset.frames)


@pytest.fixture(scope="module")
def measured(chain, judged):
    """A function from a chunk, patches and a sample to rows of QUALITY."""
    return lambda **given: list(manifest.stream(chain.workspace, judged(**given), QUALITY))


@pytest.fixture(scope="module")
def judged(chain, plate, smoothed, truth):
    """A function from a chunk, patches and a sample to QUALITY."""

    def ref(chunk=1, patches=None, sample=None, truth=truth, limit=99, detect=MTCNN, **more):
        return measure_quality(
            chain.workspace,
            plate.video,
            plate.frames[chunk],
            plate.tracks[chunk],
            patches or smoothed[chunk],
            limit,
            sample,
            truth,
            BLEND,
            detect,
            "cpu",
            **more,
        )

    return ref


@pytest.fixture(scope="module")
def unsteadied(chain, plate, trained):
    return swap_unsteadied(
        chain.workspace,
        plate.video,
        1,
        plate.frames[1],
        plate.tracks[1],
        (9, 14),
        trained["weights"],
        ("a", "b"),
        chain.align,
        MaskSettings(),
        SwapTarget(to="b"),
        RUNTIME,
    )


@pytest.fixture(scope="module")
def rows(measured, unsteadied):
    return measured(sample=Sample(first=9, last=14, unsmoothed=unsteadied["smoothed"]))


def of(rows, variant):
    return [row for row in rows if row["variant"] == variant]


def changed(chain, ref, change):
    """SMOOTHED with every row put through ``change``."""
    rows = [row | change(row) for row in manifest.stream(chain.workspace, ref, SMOOTHED)]
    return manifest.publish(chain.workspace, "changed", "smoothed", SMOOTHED, rows)


@pytest.fixture(scope="module")
def own(chain, smoothed):
    """Patches that show the plate's own face: eight steps of training draw none that a detector sees."""
    nowhere_apart = pack(np.full((SIDE, SIDE, 3), NO_APART, np.uint8))

    def plates(row):
        colors = {"patch_colors": row["view_colors"], "apart": nowhere_apart}
        return {"patch": pack(np.dstack([unpack(row["view"]), alpha(row)]))} | colors

    return changed(chain, smoothed[1], plates)


def alpha(row):
    return unpack(row["patch"])[..., 3]


def test_every_frame_of_the_chunk_is_measured_and_the_sample_in_every_variant(rows):
    assert [row["frame_index"] for row in of(rows, "swap")] == list(range(8, 16))
    for variant in ("unsmoothed", "no_swap", "ideal"):
        assert [row["frame_index"] for row in of(rows, variant)] == list(range(9, 15))
    columns = ("sharpness", "seam", "leak", "transfer", "sharpness_truth")
    numbers = [row[name] for row in rows for name in columns]
    assert np.isfinite(numbers).all()
    assert [row["warp"] is None for row in of(rows, "swap")] == [True] + 7 * [False]
    assert all(row["leak"] == 0 for row in rows)


def test_the_plate_itself_has_no_error_and_the_ideal_is_nearly_the_truth(rows):
    for row in of(rows, "no_swap"):
        assert row["nme"] == 0
        assert row["transfer"] == pytest.approx(0, abs=1e-6)
        assert row["seam"] == 1
        assert row["lab_apart"] == [0, 0, 0]
        assert row["sharpness"] == row["sharpness_plate"]
        assert row["warp"] == row["warp_plate"]
    transfers = [row["transfer"] for row in of(rows, "ideal")]
    assert min(transfers) > 0.8, "the edge is soft"
    assert max(transfers) < 1.05
    assert [r["sharpness"] / r["sharpness_truth"] for r in of(rows, "ideal")] == pytest.approx([1] * 6, abs=0.2)


def test_encoding_loses_nothing_without_loss_and_more_at_a_worse_quality(chain, plate, smoothed, encoded, measured):
    def lost(finished):
        return quality_report(measured(truth=None, finished=finished), {}, off=False)["encode_loss"]

    poor = EncodeSettings(preset="draft", crf=45)
    coarse = reencode_chunk(chain.workspace, plate.video, plate.frames[1], smoothed[1], BLEND, poor)
    assert lost(encoded[1]) == 0
    assert lost(coarse) > 1
    assert quality_report(measured(truth=None), {}, off=False)["reasons"]["encode_loss"] == "the output is no video"


def test_the_identity_network_reads_the_sample_in_every_variant(chain, own, unsteadied, measured):
    network = learned(np.zeros((2, 48, 48, 3), np.uint8), np.eye(2), steps=0, seed=0)
    weights = chain.workspace.publish_bytes("judge", "identity", ".safetensors", as_bytes(network))
    sample = Sample(first=9, last=14, unsmoothed=unsteadied["smoothed"])
    rows = measured(patches=own, sample=sample, identity=weights)
    read = {(r["variant"], r["frame_index"]): r["traits"] for r in rows if r["traits"] is not None}
    assert {number for _, number in read} == set(range(9, 15))
    assert {variant for variant, _ in read} == {"swap", "unsmoothed", "no_swap", "ideal"}
    report = quality_report(rows, {}, off=False, identity={"recognised": 1.0})
    ways = {name: figures["identity_network_transfer"] for name, figures in report["baselines"].items()}
    assert (ways["no_swap"], ways["ideal_composite"]) == (pytest.approx(0, abs=1e-9), pytest.approx(1))
    assert report["identity_network_transfer"] == ways["swap"] != ways["unsmoothed"]


def test_a_network_that_knows_too_few_is_not_used_and_the_report_says_so(rows):
    report = quality_report(rows, {}, off=False, identity={"recognised": 0.81})
    assert report["identity_network_transfer"] is None
    assert "0.81" in report["reasons"]["identity_network_transfer"]
    assert "0.81" not in quality_report(rows, {}, off=False)["reasons"]["identity_network_transfer"]


def test_only_the_worst_frames_have_pictures(rows):
    shown = [row for row in rows if row["before"]]
    assert 1 <= len(shown) < 8
    for row in shown:
        assert row["variant"] == "swap"
        pictures = [cv2.imdecode(np.frombuffer(row[name], np.uint8), cv2.IMREAD_COLOR) for name in ("before", "after")]
        assert pictures[0].shape == pictures[1].shape


def test_patches_that_tremble_are_told_from_those_that_do_not(chain, own, measured):
    rng = np.random.default_rng(0)

    def tremble(row):
        matrix = np.array(row["matrix"]).reshape(2, 3)
        matrix[:, 2] += matrix[:, :2] @ rng.normal(0, 3, 2)
        return {"matrix": matrix.ravel().tolist()}

    quiet = quality_report(measured(patches=own, truth=None), {}, off=False)
    loud = quality_report(measured(patches=changed(chain, own, tremble), truth=None), {}, off=False)
    assert loud["residual_jitter"] > 1.5 * quiet["residual_jitter"]
    assert loud["warping_error_ratio"] > 2 * quiet["warping_error_ratio"]


def test_patches_that_flicker_are_told_from_those_that_do_not(chain, own, measured):
    def flicker(row):
        shade = 12 if row["frame_index"] % 2 else -12
        colors = np.array(row["view_colors"])
        colors[:3] += shade
        return {"view_colors": colors.tolist()}

    quiet = quality_report(measured(patches=own, truth=None), {}, off=False)
    loud = quality_report(measured(patches=changed(chain, own, flicker), truth=None), {}, off=False)
    assert loud["flicker"] > 5 * quiet["flicker"]
    assert loud["residual_jitter"] < 2 * quiet["residual_jitter"]


def test_patches_that_are_blurred_are_less_sharp(chain, own, measured):
    def blur(row):
        patch = unpack(row["patch"])
        patch[..., :3] = cv2.GaussianBlur(patch[..., :3], (0, 0), 3)
        return {"patch": pack(patch)}

    sharp = quality_report(measured(patches=own), {}, off=False)
    soft = quality_report(measured(patches=changed(chain, own, blur)), {}, off=False)
    assert soft["sharpness_to_truth"] < 0.7 * sharp["sharpness_to_truth"]
    assert soft["sharpness_to_plate"] < 0.7 * sharp["sharpness_to_plate"]


def test_the_truth_itself_as_patches_is_all_of_the_transfer(chain, smoothed, measured, clip_truth, truth):
    pictures = {
        frame.frame_index: to_rgb(frame.frame)
        for ref in truth["frames"]
        for frame in read_frames(chain.workspace, truth["video"], ref)
    }

    def cut(row):
        patch = unpack(row["patch"])
        matrix, size = np.array(row["matrix"]).reshape(2, 3), patch.shape[1::-1]
        patch[..., :3] = cv2.warpAffine(pictures[row["frame_index"]], matrix, size, flags=cv2.INTER_AREA)
        return {"patch": pack(patch)}

    swap, ideal = (quality_report(measured(patches=p), {}, off=False) for p in (None, changed(chain, smoothed[1], cut)))
    assert ideal["identity_transfer"] > 0.7
    assert ideal["identity_transfer"] > swap["identity_transfer"] + 0.1


def test_a_change_outside_the_patches_is_a_leak(chain, plate, smoothed):
    frame = next(read_frames(chain.workspace, plate.video, plate.frames[1]))
    (row,) = patches_by_frame(chain.workspace, smoothed[1])[frame.frame_index]
    place = place_of(row, BLEND, (frame.frame.width, frame.frame.height))
    before = to_rgb(frame.frame)

    def corner(frame):
        edit_rect(frame, (2, 2, 6, 6), lambda pixels: pixels // 2)

    edits = [laid(place.patch, BLEND)]
    assert composite(frame.frame, edits, [(place.rect, place.weight)]).leak == 0
    assert composite(frame.frame, [*edits, corner], [(place.rect, place.weight)]).leak > 10
    assert np.array_equal(to_rgb(frame.frame), before), "the frame is as it was"


def test_a_frame_whose_patch_is_broken_is_left_out_and_the_report_says_why(chain, smoothed, judged):
    def broken(row):
        return {"patch": {"bytes": b"no image", "path": None}} if row["frame_index"] == 10 else {}

    ref = judged(patches=changed(chain, smoothed[1], broken), truth=None)
    found = load_quality(chain.workspace, [ref])
    missed = unmeasured(chain.workspace, [ref, ref])
    ((why, count),) = missed.items()
    assert count == 2
    report = quality_report(found, missed, off=False)
    assert (report["frames"], report["not_measured"]) == (7, {why: 2})
    assert "image" in why
    assert set(quality_report([], missed, off=False)["reasons"].values()) == {why}
    assert [row["frame_index"] for row in found] == [8, 9, 11, 12, 13, 14, 15]
    assert [row["warp"] is None for row in found] == [True, False, True, False, False, False, False]


def test_fewer_frames_are_measured_where_that_is_asked_for(measured):
    assert [row["frame_index"] for row in measured(limit=3, truth=None)] == [8, 9, 10]
    assert measured(limit=0, truth=None) == []


def test_without_a_detector_landmarks_stay_unknown_and_the_report_says_so(measured):
    report = quality_report(measured(truth=None, detect=DetectSettings(backend="truth")), {}, off=False)
    assert report["landmark_nme"] is None
    assert "detector" in report["reasons"]["landmark_nme"]
    assert report["reasons"]["identity_transfer"] == "no ground truth"
    assert report["seam_ratio"] > 0
    assert not [name for name, value in report.items() if value is None and name not in report["reasons"]]


def test_a_truth_of_another_size_is_refused(chain, measured, faceless):
    from faceswap_core.config import DecodeSettings
    from faceswap_core.stages.decode import decode_frames, plan_video, video_ref

    video = video_ref(faceless)
    plan = plan_video(chain.workspace, video, DecodeSettings(chunk_frames=99))
    frames = [decode_frames(chain.workspace, video, plan, i) for i in range(plan["chunks"])]
    with pytest.raises(SettingsError, match="128x96"):
        measured(truth=Footage(video=video, frames=frames))


def test_unsteadied_faces_are_cut_by_the_points_as_they_were_detected(chain, plate, unsteadied):
    raw = {r["frame_index"]: r for r in manifest.stream(chain.workspace, plate.tracks[1], TRACKS)}
    kept = list(manifest.stream(chain.workspace, unsteadied["tracks"], TRACKS))
    assert [row["frame_index"] for row in kept] == list(range(9, 15))
    assert all(row["points5"] == raw[row["frame_index"]]["points5_raw"] for row in kept)
    steadied = {
        r["frame_index"]: r["matrix"] for r in manifest.stream(chain.workspace, plate.aligned[1]["aligned"], ALIGNED)
    }
    rough = {r["frame_index"]: r["matrix"] for r in manifest.stream(chain.workspace, unsteadied["aligned"], ALIGNED)}
    assert all(not np.allclose(rough[n], steadied[n], rtol=1e-6) for n in rough)


def test_the_report_compares_the_sample_with_its_variants(chain, rows):
    report = quality_report(rows, {}, off=False)
    assert report["frames"] == 8
    assert report["sample"] == {"first": 9, "last": 14, "frames": 6, "shot": 0}
    assert set(report["baselines"]) == {"swap", "unsmoothed", "no_swap", "ideal_composite"}
    assert report["residual_jitter"] == report["baselines"]["swap"]["residual_jitter"]
    assert report["residual_jitter_unsmoothed"] == report["baselines"]["unsmoothed"]["residual_jitter"]
    sharp = [
        np.mean([r["sharpness"] for r in of(rows, v) if 9 <= r["frame_index"] <= 14]) for v in ("swap", "unsmoothed")
    ]
    assert report["sharpness_ratio"] == pytest.approx(sharp[0] / sharp[1])
    assert report["baselines"]["no_swap"]["residual_jitter"] == 0


def test_nothing_measured_is_null_with_a_reason():
    for off, reason in ((True, "quality.frames is 0"), (False, "no swapped frame was measured")):
        report = quality_report([], {}, off=off)
        assert report["flicker"] is None
        assert set(report["reasons"].values()) == {reason}
    assert load_quality(None, []) == []


def test_the_sample_is_the_beginning_of_the_longest_run_of_one_shot(chain):
    def track(frames, **more):
        row = dict.fromkeys(TRACKS.names) | {"track_id": 0, "face_index": 0, "subject": "a", "shot": 0} | more
        rows = [row | {"frame_index": n} for n in frames]
        return manifest.publish(chain.workspace, "sample", "tracks", TRACKS, rows)

    first, cut = track(range(0, 8)), track(range(8, 11), track_id=1, shot=1)
    second, other = track(range(11, 16), track_id=1, shot=1), track(range(16, 40), subject=None)
    refs = [first, cut, second, other]
    assert steady_sample(chain.workspace, refs, 99, 99) == {0: (0, 7)}
    assert steady_sample(chain.workspace, refs, 99, 5) == {0: (0, 4)}
    assert steady_sample(chain.workspace, [track(range(0, 4)), cut, second], 99, 99) == {1: (8, 10), 2: (11, 15)}
    assert steady_sample(chain.workspace, refs, 3, 99) == {1: (8, 10), 2: (11, 13)}
    assert steady_sample(chain.workspace, [other], 99, 99) == {}
    assert steady_sample(chain.workspace, [track([1, 2, 4, 5])], 99, 99) == {}


def test_long_plates_are_measured_in_part():
    assert measured_of_each(QualitySettings(), 5) == 240
    assert measured_of_each(QualitySettings(), 300) == 24


def test_of_a_long_plate_some_chunks_are_measured_and_those_that_must_be():
    assert measured_chunks(QualitySettings(), [0, 2, 3], [2]) == [0, 2, 3]
    assert measured_chunks(QualitySettings(), [], []) == []
    some = measured_chunks(QualitySettings(frames=1200), range(300), [7, 400])
    assert (len(some), some[0], some[-1]) == (51, 0, 299)
    assert 7 in some
    assert max(np.diff(some)) <= 7
    assert measured_of_each(QualitySettings(frames=0), 5) == 0
