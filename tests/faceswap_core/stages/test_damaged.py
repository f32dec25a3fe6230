"""A plate with destroyed packets goes through the whole chain: what decodes comes out, the rest is named."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from faceswap_core import manifest
from faceswap_core.errors import MediaError
from faceswap_core.schemas import ALIGNED, FRAMES
from faceswap_core.stages.assemble import assemble_video, frame_states
from faceswap_core.stages.decode import decoded_index, missing_frames, read_frames
from faceswap_core.stages.report import source_damage
from faceswap_core.stages.verify import verify_video, video_report
from faceswap_core.video.render import write_video

LAST_FRAMES = range(32, 40)
"""All of the last chunk."""


def destroy(path: Path, target: Path, frames: set[int], dented: int) -> None:
    """Copy a video; blank the packets of some frames wholly, and the end of one more."""
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        packets = [p for p in container.demux(video=0) if p.size]
        order = {p.pts: n for n, p in enumerate(sorted(packets, key=lambda p: p.pts))}
        for packet in packets:
            number = order[packet.pts]
            if number in frames:
                data[packet.pos : packet.pos + packet.size] = bytes(packet.size)
            if number == dented:
                half = packet.size // 2
                data[packet.pos + half : packet.pos + packet.size] = b"\xa5" * (packet.size - half)
    target.write_bytes(data)


@pytest.fixture(scope="module")
def damaged(chain, clip_a, tmp_path_factory):
    """The plate without frame 15 and its last chunk, and with half of keyframe 16."""
    path = tmp_path_factory.mktemp("damaged") / "plate.mp4"
    destroy(Path(clip_a["video"]["path"]), path, {15, *LAST_FRAMES}, dented=16)
    return chain.faceset(path, "a")


@pytest.fixture(scope="module")
def encoded_rest(chain, damaged, trained):
    return chain.encode(damaged, chain.smooth(damaged, chain.swap(damaged, trained["weights"])))


def test_frames_that_decoded_keep_their_number_and_time(chain, damaged, plate):
    missing = missing_frames(chain.workspace, damaged.frames)
    assert {15, *LAST_FRAMES} <= set(missing)
    whole, rest = (decoded_index(chain.workspace, side.frames) for side in (plate, damaged))
    kept = [n for n in range(len(whole)) if n not in missing]
    assert rest.pts.tolist() == whole.pts[kept].tolist()
    numbers = [r["frame_index"] for f in damaged.frames for r in manifest.stream(chain.workspace, f, FRAMES)]
    assert numbers == kept
    again = [f.frame_index for ref in damaged.frames for f in read_frames(chain.workspace, damaged.video, ref)]
    assert again == kept


def test_faces_stay_on_their_frames(chain, damaged, plate):
    index = {n for ref in damaged.frames for n in _column(chain, ref, FRAMES)}
    for mine, theirs in zip(damaged.aligned[:1], plate.aligned[:1], strict=True):
        assert mine["aligned"]["rows"] == theirs["aligned"]["rows"]
    faces = [n for chunk in damaged.aligned for n in _column(chain, chunk["aligned"], ALIGNED)]
    assert len(faces) > 20
    assert set(faces) <= index


def _column(chain, ref, schema):
    return manifest.load(chain.workspace, ref, schema, ["frame_index"]).column("frame_index").to_pylist()


def test_output_has_exactly_the_decoded_frames(chain, damaged, encoded_rest, planes, tmp_path):
    done = assemble_video(chain.workspace, damaged.video, damaged.frames, encoded_rest, tmp_path / "o.mp4")
    index = decoded_index(chain.workspace, damaged.frames)
    assert [pts for pts, _ in planes(done["video"]["path"])] == index.pts.tolist()
    ref = verify_video(chain.workspace, damaged.video, damaged.frames, done["video"], done["not_carried"])
    report = video_report(chain.workspace, ref)
    assert report["failed_checks"] == []
    assert report["frames"] == len(index)


def test_damaged_frames_pass_through_and_all_is_named(chain, damaged, encoded_rest):
    said = source_damage(chain.workspace, damaged.video, damaged.frames)
    assert any("missing" in sentence and "15, 32-39" in sentence for sentence in said)
    assert any("damaged frames passed through: 16" in sentence for sentence in said)
    states = {s["frame_index"]: s for s in frame_states(chain.workspace, encoded_rest)}
    assert (states[16]["state"], states[16]["reason"]) == ("passed_through", "the source frame is damaged")
    assert states[3]["state"] == "swapped"


def test_whole_plate_has_no_damage_to_name(chain, plate):
    assert source_damage(chain.workspace, plate.video, plate.frames) == []
    assert all("missing" not in manifest.metadata(chain.workspace, f, FRAMES) for f in plate.frames)


def test_other_frames_on_the_second_reading_are_an_error(chain, plate):
    """A manifest that calls frame 5 missing, of a file in which it is not."""
    w, ref = chain.workspace, plate.frames[0]
    rows = list(manifest.stream(w, ref, FRAMES))
    facts = manifest.metadata(w, ref, FRAMES)
    facts["missing"] = json.dumps([(5, rows.pop(5)["pts"])])
    other = manifest.publish(w, "other", "frames", FRAMES, rows, facts)
    with pytest.raises(MediaError, match=r"frames \[\] of chunk 0 cannot be decoded, \[5\] could not before"):
        list(read_frames(w, plate.video, other))


def test_plate_that_was_cut_off_says_so(chain, faceless, tmp_path):
    path = tmp_path / "cut.mkv"
    images = (np.full((96, 128, 3), 10 * n, np.uint8) for n in range(24))
    write_video(path, images, fps=Fraction(6), audio=None, crf=14, keyint=8)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 7 // 10])
    side = chain.faceset(path, "a")
    assert any("announces 4.00 s" in sentence for sentence in source_damage(chain.workspace, side.video, side.frames))
