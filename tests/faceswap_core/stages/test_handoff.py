"""What a compositor gets, against the video that we make ourselves: from the files alone."""

import json
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
from av.video.frame import VideoFrame

from faceswap_core import manifest
from faceswap_core.config import BlendSettings, DecodeSettings, EncodeSettings
from faceswap_core.errors import ManifestError, SettingsError
from faceswap_core.outfolder import files_below
from faceswap_core.schemas import EXPORTED, REPORT, SMOOTHED
from faceswap_core.stages.assemble import assemble_video
from faceswap_core.stages.assemble import frame_states as encoded_states
from faceswap_core.stages.decode import decode_frames, plan_video, video_ref
from faceswap_core.stages.deliver import deliver_folder
from faceswap_core.stages.encode import reencode_chunk
from faceswap_core.stages.export_images import export_images
from faceswap_core.stages.export_patches import export_patches
from faceswap_core.stages.images import pack
from faceswap_core.stages.paste import ready_patch
from faceswap_core.stages.states import finished_picture, frame_states
from faceswap_core.stages.verify import video_report
from faceswap_core.stages.verify_folder import verify_folder
from faceswap_core.video.colour import convert, from_rgb
from faceswap_core.video.deep import to_rgb16, to_rgb_float
from faceswap_core.video.exr import read_exr
from faceswap_core.video.reader import decode_linear

BLEND = BlendSettings()
LOSSLESS = EncodeSettings(codec="ffv1")
SIZE = (160, 120)
PLATES = {"yuv444p": 1, "yuv444p10le": 9, "yuv420p": 6, "yuv422p10le": 1, "gbrp10le": 0}
"""Pixel format -> matrix (H.273)."""


def make_plate(path: Path, pix_fmt: str, frames: int = 10) -> Path:
    """A lossless clip of moving gradients with a timecode, a chunk every four frames."""
    matrix = PLATES[pix_fmt]
    with av.open(str(path), "w") as out:
        out.metadata["timecode"] = "10:00:00:00"
        stream = out.add_stream("ffv1", rate=25, options={"g": "4"})
        context = stream.codec_context
        context.width, context.height = SIZE
        context.pix_fmt, context.time_base, context.thread_count = pix_fmt, Fraction(1, 25), 1
        context.colorspace, context.color_range = matrix, 2 if pix_fmt.startswith("gbrp") else 1
        context.color_primaries, context.color_trc = (9, 16) if matrix == 9 else (1, 1)
        for number in range(frames):
            y, x = np.mgrid[: SIZE[1], : SIZE[0]]
            rgb = np.stack([x + 9 * number, 2 * y, 255 - x - number], axis=2) % 256
            frame = from_rgb(rgb.astype(np.uint8), pix_fmt, matrix=matrix or 1)
            frame.pts, frame.time_base = number, Fraction(1, 25)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def random_patches(workspace, frames):
    """SMOOTHED of one chunk, in turns: two turned faces, one that leaves the frame, one far outside, none."""
    rng = np.random.default_rng(1)
    rows = []
    for frame_index in range(frames["first"], frames["first"] + frames["rows"]):
        centres = [[(70, 60), (100, 70)], [(150, 20)], [(700, 700)], []][frame_index % 4]
        for face_index, centre in enumerate(centres):
            noise = cv2.resize(rng.integers(0, 256, (12, 12, 3), np.uint8), (64, 64), interpolation=cv2.INTER_CUBIC)
            alpha = cv2.ellipse(np.zeros((64, 64), np.uint8), (32, 33), (24, 28), 8, 0, 360, 255, -1)
            turn = 0.4 + 0.2 * frame_index + face_index
            linear = 1.3 * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
            matrix = np.hstack([linear, (31.5 - linear @ centre)[:, None]])
            face = {"frame_index": frame_index, "face_index": face_index, "track_id": face_index, "shot": 0}
            face |= {"opacity": 1.0, "motion": [0.0, 0.0], "mask": pack(alpha)}
            rows.append(face | {"patch": pack(np.dstack([noise, alpha])), "matrix": matrix.ravel().tolist()})
    return manifest.publish(workspace, "random", f"smoothed-{frames['first']}", SMOOTHED, rows)


class Made:
    """A plate, and every form of its output."""

    def __init__(self, chain, folder, pix_fmt, image_format="png"):
        w = self.workspace = chain.workspace
        self.plate = video_ref(make_plate(folder / "plate.mkv", pix_fmt))
        plan = plan_video(w, self.plate, DecodeSettings(chunk_frames=8))
        self.frames = [decode_frames(w, self.plate, plan, i) for i in range(plan["chunks"])]
        first = [sum(f["rows"] for f in self.frames[:i]) for i in range(len(self.frames))]
        smoothed = [random_patches(w, {**f, "first": n}) for f, n in zip(self.frames, first, strict=True)]
        pairs = list(zip(self.frames, smoothed, strict=True))
        self.chunks = [reencode_chunk(w, self.plate, f, s, BLEND, LOSSLESS) for f, s in pairs]
        self.patches = [export_patches(w, f, s, BLEND) for f, s in pairs]
        self.images = [export_images(w, self.plate, f, s, BLEND, image_format) for f, s in pairs]
        video = assemble_video(w, self.plate, self.frames, self.chunks, folder / "out.mkv")
        self.video = list(decode_linear(video["video"]["path"]))
        self.patch_folder, self.image_folder = folder / "patches", folder / "images"
        self.delivered = {
            "patches": self.deliver("patches", self.patch_folder),
            "image_sequence": self.deliver("image_sequence", self.image_folder, 1001),
        }

    def deliver(self, kind, folder, start=None):
        exported = self.patches if kind == "patches" else self.images
        return deliver_folder(self.workspace, self.plate, self.frames, exported, kind, folder, start)

    def check(self, kind):
        ref = verify_folder(self.workspace, self.plate, self.frames, self.delivered[kind])
        return {r["check"]: r["passed"] for r in manifest.stream(self.workspace, ref, REPORT)}, ref


@pytest.fixture(scope="module")
def made(chain, tmp_path_factory):
    """A function from a pixel format to all that is made of its plate."""
    known = {}

    def made_once(pix_fmt="yuv444p10le"):
        if pix_fmt not in known:
            known[pix_fmt] = Made(chain, tmp_path_factory.mktemp(pix_fmt), pix_fmt)
        return known[pix_fmt]

    return made_once


def table(folder):
    return pq.read_table(folder / "frames.parquet").to_pylist()


def file_of(folder, row, role):
    (found,) = [f for f in row["files"] if f["role"] == role]
    return cv2.imread(str(folder / found["file"]), cv2.IMREAD_UNCHANGED)


def corner_pin(image, corners, interpolation, border):
    """Pin the outer corners of an image to four points of the frame, as a compositor does."""
    height, width = image.shape[:2]
    outer = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    points = np.array(corners, np.float64).reshape(4, 2)
    pin = cv2.getPerspectiveTransform((outer - 0.5).astype(np.float32), (points - 0.5).astype(np.float32))
    return cv2.warpPerspective(image, pin, SIZE, flags=interpolation, borderMode=border)


def composite(folder, plates):
    """RGB frames, float 0..1, from a folder of patches and the plate's frames: corner pin and straight over.

    Beside each how many patches touch a pixel, (H, W).
    """
    frames = [frame.astype(np.float64) / 65535 for frame in plates]
    layers = [np.zeros(frame.shape[:2], int) for frame in frames]
    for row in table(folder):
        if row["face_index"] is not None:
            patch = file_of(folder, row, "patch").astype(np.float32) / 65535
            colors = corner_pin(patch[..., 2::-1].copy(), row["corners"], cv2.INTER_CUBIC, cv2.BORDER_REPLICATE)
            alpha = corner_pin(patch[..., 3].copy(), row["corners"], cv2.INTER_LINEAR, cv2.BORDER_CONSTANT)
            frame = frames[row["frame_index"]]
            frames[row["frame_index"]] = (frame + alpha[..., None] * (colors - frame)).clip(0, 1)
            layers[row["frame_index"]] += alpha > 0
    return list(zip(frames, layers, strict=True))


@pytest.mark.parametrize("pix_fmt", ["yuv444p", "yuv444p10le", "gbrp10le"])
def test_patches_laid_over_the_plate_give_our_video(made, pix_fmt):
    job = made(pix_fmt)
    plates = [to_rgb16(frame) for frame in decode_linear(job.plate["path"])]
    ours = [to_rgb16(frame) / 65535 for frame in job.video]
    code = 1 / 1023 if "10" in pix_fmt else 1 / 255
    rounding = 0.52 if "gbr" in pix_fmt else 1.7  # half a code of Y, Cb and Cr each, seen as red, green or blue
    changed = 0
    for (theirs, layers), frame, plate in zip(composite(job.patch_folder, plates), ours, plates, strict=True):
        difference = np.abs(theirs - frame).max(axis=2) / code
        assert (difference < rounding * np.maximum(layers, 1)).all(), "each patch is rounded once"
        changed += (np.abs(frame - plate / 65535) > 20 * code).mean() > 0.03
    assert changed == 6, "frames with a face in them are far from the plate"


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv422p10le"])
def test_patches_give_our_luma_where_chroma_is_shared(made, pix_fmt):
    """Chroma of a block is the mean of its pixels, so only luma can be compared sample by sample."""
    job = made(pix_fmt)
    bits, unit = (10, 4) if "10" in pix_fmt else (8, 1)
    kind = np.uint16 if bits == 10 else np.uint8

    def planes(frame):
        return [np.frombuffer(p, kind).reshape(p.height, -1)[:, : p.width].astype(float) for p in frame.planes]

    def nearest(frame):
        wide = VideoFrame(*SIZE, pix_fmt.replace("420", "444").replace("422", "444"))
        y, u, v = planes(frame)
        whole = (y, *(np.kron(c, np.ones((len(y) // len(c), 2))) for c in (u, v)))
        for plane, samples in zip(wide.planes, whole, strict=True):
            np.frombuffer(plane, kind).reshape(SIZE[1], -1)[:, : SIZE[0]] = samples
        wide.colorspace, wide.color_range = frame.colorspace, frame.color_range
        return to_rgb16(wide)

    plates = [nearest(frame) for frame in decode_linear(job.plate["path"])]
    kr, kb = (0.299, 0.114) if pix_fmt == "yuv420p" else (0.2126, 0.0722)
    for (theirs, _), frame in zip(composite(job.patch_folder, plates), job.video, strict=True):
        luma = (16 + 219 * (theirs @ [kr, 1 - kr - kb, kb])) * unit
        difference = np.abs(luma - planes(frame)[0])
        assert difference.mean() < 0.5
        assert np.quantile(difference, 0.999) < 1.5


def test_matrices_and_corners_say_the_same(made):
    for row in table(made().patch_folder):
        if row["face_index"] is None:
            assert row["matrix_frame_to_patch"] is row["corners"] is None
            continue
        there, back = (
            np.vstack([np.reshape(row[f"matrix_{name}"], (2, 3)), [0, 0, 1]])
            for name in ("frame_to_patch", "patch_to_frame")
        )
        np.testing.assert_allclose(there @ back, np.eye(3), atol=1e-9)
        outer = np.array([[-0.5, 63.5, 63.5, -0.5], [-0.5, -0.5, 63.5, 63.5], [1, 1, 1, 1]])
        found = (back @ outer)[:2].T + 0.5
        np.testing.assert_allclose(found.ravel(), row["corners"], atol=1e-9)


def test_a_face_made_larger_and_moved_is_handed_off_where_it_is_laid(made):
    job = made()
    smoothed = random_patches(job.workspace, {**job.frames[0], "first": 0})
    exported = export_patches(job.workspace, job.frames[0], smoothed, BlendSettings(scale=1.2, shift_x=0.1))
    found = {
        (row["frame_index"], row["face_index"]): row["matrix"]
        for row in manifest.stream(job.workspace, exported, EXPORTED)
        if row["face_index"] is not None
    }
    given = {(r["frame_index"], r["face_index"]): r for r in manifest.stream(job.workspace, smoothed, SMOOTHED)}
    assert len(found) >= 3
    for key, matrix in found.items():
        wanted = ready_patch(given[key], BlendSettings(scale=1.2, shift_x=0.1)).matrix
        np.testing.assert_allclose(matrix, wanted.ravel(), atol=1e-9)
        assert np.abs(np.subtract(matrix, given[key]["matrix"])).max() > 0.1


def test_every_frame_says_how_it_ended_as_the_video_does(made):
    job = made()
    wanted = encoded_states(job.workspace, job.chunks)
    assert frame_states(job.workspace, job.chunks) == wanted
    assert frame_states(job.workspace, job.patches) == wanted
    assert frame_states(job.workspace, job.images) == wanted
    assert [s["state"] for s in wanted[:4]] == ["swapped", "swapped", "passed_through", "no_face"]


def test_a_sequence_is_the_lossless_video_as_rgb(made):
    for pix_fmt in PLATES:
        job = made(pix_fmt)
        rows = table(job.image_folder)
        assert len(rows) == len(job.video) == 10
        for row, frame in zip(rows, job.video, strict=True):
            image = file_of(job.image_folder, row, "image")
            assert image.dtype == np.uint16
            np.testing.assert_array_equal(image[..., ::-1], to_rgb16(frame))


def test_ten_bits_are_not_cut_to_eight(made):
    job = made("yuv444p10le")
    rows = table(job.image_folder)
    image = file_of(job.image_folder, rows[0], "image")
    assert len(np.unique(image)) > 400, "more values than 8 bits have"
    assert (rows[0]["bit_depth"], rows[0]["color_matrix"], rows[0]["color_transfer"]) == (10, 9, 16)
    back = convert(VideoFrame.from_ndarray(image[..., ::-1].copy(), "rgb48le"), "yuv444p10le", matrix=9)
    there = np.frombuffer(job.video[0].planes[0], np.uint16).reshape(SIZE[1], -1)[:, : SIZE[0]].astype(int)
    here = np.frombuffer(back.planes[0], np.uint16).reshape(SIZE[1], -1)[:, : SIZE[0]].astype(int)
    assert np.abs(here - there).max() <= 4


def test_exr_keeps_floats_beyond_white(chain, made, tmp_path):
    job = made("yuv422p10le")
    (ref,) = job.frames[:1]
    exported = [export_images(job.workspace, job.plate, f, None, BLEND, "exr") for f in job.frames]
    deliver_folder(job.workspace, job.plate, [ref, *job.frames[1:]], exported, "image_sequence", tmp_path / "exr", 0)
    rows = table(tmp_path / "exr")
    assert {row["state"] for row in rows} == {"passed_through"}
    for row, frame in zip(rows, decode_linear(job.plate["path"]), strict=True):
        image = read_exr((tmp_path / "exr" / row["files"][0]["file"]).read_bytes())
        np.testing.assert_array_equal(image, to_rgb_float(frame))


def test_the_table_has_all_facts_twice(made):
    job = made()
    for folder, kind in ((job.patch_folder, "patches"), (job.image_folder, "image_sequence")):
        found = json.loads((folder / "frames.json").read_text())
        assert found["frames"] == table(folder)
        about = json.loads(pq.read_schema(folder / "frames.parquet").metadata[b"about"])
        assert found["about"] == about
        assert (about["kind"], about["source"], about["width"], about["height"]) == (kind, "plate.mkv", *SIZE)
        assert about["start_timecode"] == "10:00:00:00"
        assert set(about["conventions"]) >= {"matrices", "corners", "colours"}
        row = found["frames"][-1]
        assert row["source_sha256"] == job.plate["sha256"]
        assert (row["frame_index"], row["timecode"], row["color_range"]) == (9, "10:00:00:09", "limited")
        assert row["seconds"] == pytest.approx(row["pts"] * Fraction(row["time_base"])) == pytest.approx(0.36)


def test_numbers_follow_the_timecode_or_the_setting(made, tmp_path):
    job = made()
    assert table(job.patch_folder)[0]["frame_number"] == 900000
    assert "track_0000/patch.00900000.png" in files_below(job.patch_folder)
    assert "track_0001/mask.00900004.png" in files_below(job.patch_folder)
    assert min(files_below(job.image_folder)) == "frame.00001001.png"
    with pytest.raises(SettingsError, match=r"output\.start_number"):
        job.deliver("patches", tmp_path / "o", 99_999_995)
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize("kind", ["patches", "image_sequence"])
def test_a_folder_passes_its_checks_and_names_what_it_cannot_hold(made, kind):
    checks, ref = made().check(kind)
    assert set(checks) == {"frames", "pts_equal", "files", "only_named_files", "tables_equal", "sample_decoded"}
    assert all(checks.values())
    report = video_report(made().workspace, ref)
    assert (report["frames"], report["streams_equal"], report["failed_checks"]) == (10, None, [])


@pytest.mark.parametrize(
    ("harm", "failed"),
    [
        (lambda f: (f / "frame.00001003.png").unlink(), {"files", "only_named_files", "sample_decoded"}),
        (lambda f: (f / "frame.00001003.png").write_bytes(b"x"), {"files", "sample_decoded"}),
        (lambda f: (f / "extra.png").write_bytes(b"x"), {"only_named_files"}),
        (lambda f: (f / "frames.json").write_text("{}"), {"tables_equal"}),
    ],
)
def test_harm_to_a_folder_is_noticed(made, tmp_path, harm, failed):
    job = made("yuv444p")
    folder = tmp_path / "images"
    job.deliver("image_sequence", folder, 1001)
    target = folder / "frame.00001003.png"
    data = target.read_bytes()
    target.unlink()
    target.write_bytes(data)  # a file of its own, no link into the workspace
    harm(folder)
    delivered = job.delivered["image_sequence"] | {"folder": str(folder)}
    ref = verify_folder(job.workspace, job.plate, job.frames, delivered)
    assert {r["check"] for r in manifest.stream(job.workspace, ref, REPORT) if not r["passed"]} == failed


def test_an_image_that_was_altered_is_not_delivered(made, tmp_path):
    job = made("gbrp10le")
    row = next(manifest.stream(job.workspace, job.images[0], EXPORTED))
    path = job.workspace.path(row["files"][0]["file"])
    kept = path.read_bytes()
    path.unlink()
    path.write_bytes(kept[:-1])
    try:
        with pytest.raises(ManifestError, match="missing or altered"):
            job.deliver("image_sequence", tmp_path / "o")
    finally:
        path.write_bytes(kept)
    assert list(tmp_path.iterdir()) == []


def test_pictures_of_the_report_are_the_same_whatever_is_made(made):
    job = made("gbrp10le")
    plates = list(decode_linear(job.plate["path"]))

    def pictures(refs):
        return finished_picture(job.workspace, refs[0], 1, 1, list(decode_linear(job.plate["path"]))[1])

    encoded = pictures(job.chunks).astype(int)
    assert np.abs(encoded - to_rgb16(plates[1]) // 257).mean() > 1
    for refs in (job.patches, job.images):
        assert np.abs(pictures(refs) - encoded).max() <= 1
