import cv2
import numpy as np
import pytest

from faceswap_core import manifest
from faceswap_core.config import DetectSettings, NormalizeSettings, TrackSettings
from faceswap_core.errors import MediaError, SettingsError
from faceswap_core.faces.color import sum_colors
from faceswap_core.faces.geometry import apply
from faceswap_core.schemas import ALIGNED, COLOR_STATS, DETECTIONS, FRAMES, MASKS, TRACKS, TRUTH
from faceswap_core.stages.align import warp_chip
from faceswap_core.stages.decode import DecodeSettings, default_chunk_frames, plan_video, video_ref
from faceswap_core.stages.detect import detect_faces, five_of_68
from faceswap_core.stages.images import unpack
from faceswap_core.stages.normalize import normalize_color
from faceswap_core.stages.track import cut_scores, track_faces
from faceswap_core.video.checked import thumbnail_of


def rows_of(chain, refs, schema):
    return [row for ref in refs for row in manifest.stream(chain.workspace, ref, schema)]


def exact_points(chain, clip):
    rows = manifest.stream(chain.workspace, clip["truth"], TRUTH)
    return np.stack([five_of_68(np.array(r["landmarks"], np.float32).reshape(68, 2)) for r in rows])


class TestDecode:
    def test_every_frame_stands_once_in_order(self, chain, plate, planes):
        rows = rows_of(chain, plate.frames, FRAMES)
        assert [r["frame_index"] for r in rows] == list(range(40))
        assert [r["pts"] for r in rows] == [pts for pts, _ in planes(plate.video["path"])]
        assert {r["duration"] for r in rows} == {rows[1]["pts"] - rows[0]["pts"]}
        assert not any(r["corrupt"] for r in rows)
        assert [r["chunk_index"] for r in rows] == [i // 8 for i in range(40)]

    def test_checksum_is_of_the_decoded_samples(self, chain, plate, planes):
        import zlib

        for row, (_, frame) in zip(rows_of(chain, plate.frames, FRAMES), planes(plate.video["path"]), strict=True):
            assert row["crc32"] == zlib.crc32(b"".join(p.tobytes() for p in frame))

    def test_cut_score_across_a_border_is_that_of_one_chunk(self, chain, plate, clip_a):
        one = plan_video(chain.workspace, plate.video, DecodeSettings(chunk_frames=1000))
        assert one["chunks"] == 1
        from faceswap_core.stages.decode import decode_frames

        whole = [decode_frames(chain.workspace, plate.video, one, 0)]
        found, wanted = cut_scores(chain.workspace, plate.frames), cut_scores(chain.workspace, whole)
        assert found[0] == 0
        # the thumbnails at the borders are kept in steps of 1/255
        np.testing.assert_allclose(found, wanted, atol=1 / 255)
        assert found[8] > 0

    @pytest.mark.parametrize(("frames", "length"), [(1, 240), (60_000, 240), (150_000, 600), (10**7, 4000)])
    def test_default_length_of_a_chunk(self, frames, length):
        assert default_chunk_frames(frames) == length

    def test_missing_video_is_refused(self, tmp_path):
        with pytest.raises(MediaError, match="does not exist"):
            video_ref(tmp_path / "none.mp4")

    def test_file_that_is_no_video_is_refused(self, chain, tmp_path):
        path = tmp_path / "text.mp4"
        path.write_text("no video at all" * 100)
        with pytest.raises(MediaError):
            plan_video(chain.workspace, video_ref(path), DecodeSettings())

    def test_larger_frames_than_allowed_are_refused(self, chain, plate):
        with pytest.raises(MediaError, match=r"256x144.*max_pixels"):
            plan_video(chain.workspace, plate.video, DecodeSettings(max_pixels=1000))

    def test_no_thumbnail_is_none(self):
        assert thumbnail_of("") is None


class TestDetect:
    def test_built_in_detector_is_near_the_truth_in_every_frame(self, chain, plate, clip_a):
        rows = rows_of(chain, plate.detections, DETECTIONS)
        assert [r["frame_index"] for r in rows] == list(range(40))
        found = np.array([r["points5"] for r in rows]).reshape(-1, 5, 2)
        exact = exact_points(chain, clip_a)
        eyes = np.linalg.norm(exact[:, 1] - exact[:, 0], axis=-1).mean()
        assert np.linalg.norm(found - exact, axis=-1).mean() < 0.15 * eyes
        assert {r["backend"] for r in rows} == {chain.detect.backend}

    def test_backend_truth_gives_the_exact_points(self, chain, plate, clip_a):
        settings = DetectSettings(backend="truth")
        refs = [detect_faces(chain.workspace, plate.video, f, settings, clip_a["truth"]) for f in plate.frames]
        rows = rows_of(chain, refs, DETECTIONS)
        assert [r["frame_index"] for r in rows] == list(range(40))
        assert [ref["rows"] for ref in refs] == [8] * 5
        points = np.array([r["points5"] for r in rows], np.float32).reshape(-1, 5, 2)
        np.testing.assert_array_equal(points, exact_points(chain, clip_a))
        assert {(r["score"], r["backend"]) for r in rows} == {(1.0, "truth")}

    def test_backend_truth_without_a_truth_is_refused(self, chain, plate):
        with pytest.raises(SettingsError, match="no TRUTH manifest"):
            detect_faces(chain.workspace, plate.video, plate.frames[0], DetectSettings(backend="truth"))

    def test_progress_is_told_frame_by_frame(self, chain, plate):
        told = []
        detect_faces(
            chain.workspace, plate.video, plate.frames[0], DetectSettings(), None, lambda *a: told.append(a[:2])
        )
        assert told == [(i, 8) for i in range(1, 9)]


class TestTrack:
    def test_the_face_is_one_track_of_the_subject(self, chain, plate):
        rows = rows_of(chain, plate.tracks, TRACKS)
        assert {(r["track_id"], r["subject"], r["shot"]) for r in rows} == {(0, "a", 0)}
        assert [ref["rows"] for ref in plate.tracks] == [8] * 5

    def test_similarity_puts_the_template_on_the_points(self, chain, plate):
        from faceswap_core.faces.geometry import similarity_matrix, template5

        unsmoothed = TrackSettings(smooth_radius=0, similarity_radius=0)
        tracks = track_faces(chain.workspace, plate.frames, plate.detections, "a", unsmoothed)
        for row in rows_of(chain, tracks, TRACKS):
            points = np.array(row["points5"]).reshape(5, 2)
            there = apply(similarity_matrix(row["similarity"]), template5())
            assert np.abs(there.mean(0) - points.mean(0)).max() < 1e-3

    def test_missing_detections_are_filled_and_marked(self, chain, plate):
        rows = [r for r in rows_of(chain, plate.detections, DETECTIONS) if r["frame_index"] not in (7, 8, 9)]
        parts = [[r for r in rows if r["frame_index"] // 8 == i] for i in range(5)]
        refs = [manifest.publish(chain.workspace, "t", "d", DETECTIONS, part) for part in parts]
        for gap, missing in ((3, []), (2, [7, 8, 9])):
            tracks = track_faces(chain.workspace, plate.frames, refs, "a", TrackSettings(max_gap=gap))
            found = rows_of(chain, tracks, TRACKS)
            assert sorted(set(range(40)) - {r["frame_index"] for r in found}) == missing
            if not missing:
                assert [r["frame_index"] for r in found if r["interpolated"]] == [7, 8, 9]

    def test_face_that_was_never_sure_is_dropped(self, chain, plate):
        rows = [r | {"score": 0.6} for r in rows_of(chain, plate.detections, DETECTIONS)]
        parts = [[r for r in rows if r["frame_index"] // 8 == i] for i in range(5)]
        refs = [manifest.publish(chain.workspace, "t", "d", DETECTIONS, part) for part in parts]
        assert rows_of(chain, track_faces(chain.workspace, plate.frames, refs, "a", TrackSettings()), TRACKS) == []
        low = TrackSettings(start_score=0.5)
        assert len(rows_of(chain, track_faces(chain.workspace, plate.frames, refs, "a", low), TRACKS)) == 40


class TestAlign:
    def test_matrix_brings_the_eyes_of_the_frame_to_their_place_in_the_chip(self, chain, plate):
        aligned = rows_of(chain, [c["aligned"] for c in plate.aligned], ALIGNED)
        for row, track in zip(aligned, rows_of(chain, plate.tracks, TRACKS), strict=True):
            there = apply(np.array(row["matrix"]).reshape(2, 3), np.array(track["points5"]).reshape(5, 2))
            assert np.abs(there.mean(0) - [31.5, 31.5]).max() < 3
            assert np.linalg.norm(there[1] - there[0]) == pytest.approx(chain.align.eye_distance * 0.625 * 64, rel=0.15)

    def test_masks_stand_row_by_row_beside_the_chips(self, chain, plate):
        for chunk in plate.aligned:
            chips = rows_of(chain, [chunk["aligned"]], ALIGNED)
            masks = rows_of(chain, [chunk["masks"]], MASKS)
            for chip, mask in zip(chips, masks, strict=True):
                assert (chip["frame_index"], chip["face_index"]) == (mask["frame_index"], mask["face_index"])
                image, alpha = unpack(chip["chip"]), unpack(mask["mask"])
                assert image.shape == (64, 64, 3)
                assert alpha.shape == (64, 64)
                sums = sum_colors(image, alpha)
                assert mask["color_sum"] == pytest.approx(sums.total.tolist())
                assert mask["color_square_sum"] == pytest.approx(sums.square.tolist())
                assert mask["color_weight"] == pytest.approx(sums.weight)
                assert unpack(mask["features"]).shape == (64, 64, 3)
                assert chip["video"] == plate.video["sha256"]

    @pytest.mark.parametrize("scale", [1.0, 0.7, 0.3, 0.11])
    def test_chip_shows_the_place_its_matrix_says_at_every_size(self, scale):
        y, x = np.mgrid[:400, :500]
        ramp = np.stack([x / 2, y / 2, x * 0], -1).astype(np.uint8)
        size = 40
        matrix = np.array([[scale, 0, 19.5 - 250 * scale], [0, scale, 19.5 - 200 * scale]])
        chip = warp_chip(ramp, matrix, size)
        columns = (np.arange(size) - matrix[0, 2]) / scale / 2
        inside = (columns > 1) & (columns < 248)
        assert np.abs(chip[20, inside, 0] - columns[inside]).max() < 1.5
        rows = (np.arange(size) - matrix[1, 2]) / scale / 2
        inside = (rows > 1) & (rows < 198)
        assert np.abs(chip[inside, 20, 1] - rows[inside]).max() < 1.5

    def test_reduced_chip_does_not_alias(self):
        board = (np.indices((400, 400)).sum(0) % 2 * 255).astype(np.uint8)
        chip = warp_chip(np.dstack([board] * 3), np.array([[0.101, 0, 0], [0, 0.101, 0.0]]), 40)
        assert np.abs(chip[2:-2, 2:-2].astype(int) - 127).max() < 30

    @pytest.mark.parametrize("place", [(-5000, 0), (5000, 5000), (390, 390)])
    @pytest.mark.parametrize("scale", [1.0, 0.1])
    def test_chip_beyond_the_frame_repeats_its_border(self, place, scale):
        image = np.full((400, 400, 3), 77, np.uint8)
        matrix = np.array([[scale, 0, -place[0] * scale], [0, scale, -place[1] * scale]])
        assert (warp_chip(image, matrix, 40) == 77).all()

    def test_chip_equals_a_plain_warp_where_nothing_is_reduced(self):
        image = np.random.default_rng(0).integers(0, 256, (90, 90, 3), dtype=np.uint8)
        matrix = np.array([[0.9, 0.2, 3], [-0.2, 0.9, 5]])
        wanted = cv2.warpAffine(image, matrix, (48, 48), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        np.testing.assert_array_equal(warp_chip(image, matrix, 48), wanted)


class TestNormalize:
    def test_colours_are_those_of_all_pixels_under_all_masks(self, chain, plate, stats):
        chips, masks = [], []
        for chunk in plate.aligned:
            chips += [unpack(r["chip"]) for r in rows_of(chain, [chunk["aligned"]], ALIGNED)]
            masks += [unpack(r["mask"]) for r in rows_of(chain, [chunk["masks"]], MASKS)]
        sums = sum_colors(np.concatenate(chips), np.concatenate(masks))
        rows = [r for r in rows_of(chain, [stats], COLOR_STATS) if r["subject"] == "a"]
        whole = next(r for r in rows if r["track_id"] is None)
        assert whole["mean"] == pytest.approx(sums.mean.tolist())
        assert whole["std"] == pytest.approx(sums.std.tolist())
        assert whole["count"] == 40
        (part,) = [r for r in rows if r["track_id"] is not None]
        assert part["video"] == plate.video["sha256"]
        assert part["mean"] == whole["mean"]

    def test_map_brings_a_to_b_and_leaves_b(self, chain, stats):
        rows = {r["subject"]: r for r in rows_of(chain, [stats], COLOR_STATS) if r["track_id"] is None}
        a, b = rows["a"], rows["b"]
        assert (np.array(a["mean"]) * a["scale"] + a["shift"]).tolist() == pytest.approx(b["mean"])
        assert (np.array(a["std"]) * a["scale"]).tolist() == pytest.approx(b["std"])
        assert (b["scale"], b["shift"]) == ([1, 1, 1], [0, 0, 0])

    def test_rule_none_leaves_both(self, chain, plate, other):
        settings = NormalizeSettings(rule="none")
        ref = normalize_color(chain.workspace, plate.aligned, other.aligned, ("a", "b"), settings)
        assert {(*r["scale"], *r["shift"]) for r in rows_of(chain, [ref], COLOR_STATS)} == {(1, 1, 1, 0, 0, 0)}
