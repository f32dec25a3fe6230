"""What a camera or a program wrote about place, device, person and folder does not reach the output."""

import subprocess

import av
import oracle
import pytest
from recoding import recode

from faceswap_core.config_encode import EncodeSettings
from faceswap_core.video.carry import kept_tags
from faceswap_core.video.index import build_index
from faceswap_core.video.verify import verify_video

FAST = EncodeSettings(preset="draft", crf=30)
TELLING = {
    "location": "+48.8577+002.2950/",
    "location-eng": "+48.8577+002.2950/",
    "com.apple.quicktime.location.ISO6709": "+48.8577+002.2950+035.000/",
    "com.apple.quicktime.make": "Contax-7781",
    "com.apple.quicktime.model": "Model-7781",
    "com.apple.quicktime.creationdate": "2026-05-05T10:00:00+0200",
    "com.example.source_path": "/home/anna/secret-project/a.mov",
    "camera_serial": "SN-7781",
}
DESCRIBING = {"title": "A film", "artist": "Somebody", "copyright": "2026", "com.apple.quicktime.description": "Words"}
SECRETS = [b"48.8577", b"7781", b"+0200", b"secret-project"]


def tagged(clip, path):
    """A copy of a clip with telling tags in the container and in its stream of sound."""
    words = [w for k, v in {**TELLING, **DESCRIBING}.items() for w in ("-metadata", f"{k}={v}")]
    words += ["-metadata:s:a:0", "location=+48.8577+002.2950/", "-metadata:s:a:0", "language=ger"]
    flags = ["-movflags", "use_metadata_tags"] if path.suffix != ".mkv" else []
    command = [
        "ffmpeg",
        "-v",
        "error",
        "-i",
        str(clip("b.mp4")),
        "-map",
        "0:v",
        "-map",
        "0:a",
        "-c",
        "copy",
        *words,
        *flags,
        str(path),
    ]
    subprocess.run(command, check=True)
    return path


@oracle.NEEDED
@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_what_tells_of_a_place_a_device_or_a_folder_is_left_out_and_named(clip, tmp_path, suffix):
    source = tagged(clip, tmp_path / f"source{suffix}")
    out = tmp_path / f"out{suffix}"
    assert all(secret in source.read_bytes() for secret in SECRETS), "the source tells"
    index, _, report = recode(source, out, FAST)
    assert [secret for secret in SECRETS if secret in out.read_bytes()] == []
    found = {key.lower(): value for key, value in build_index(out).facts.metadata.items()}
    assert {key: found.get(key) for key in DESCRIBING} == DESCRIBING
    (named,) = report.not_carried
    assert {key for key in TELLING if key.lower() in named.lower()} == set(TELLING)
    checked = verify_video(out, index, source)
    assert checked.ok
    assert checked.changed == ()


@oracle.NEEDED
@pytest.mark.parametrize("kind", [b"gpmd", b"camm", b"mebx"])
def test_the_track_in_which_a_camera_notes_its_place_is_left_out_and_named(clip, tmp_path, kind):
    data = bytearray(clip("timecode.mov").read_bytes())
    at = data.rfind(b"stsd") + 16  # behind version, count and length: what kind of track it is
    assert data[at : at + 4] == b"tmcd"
    data[at : at + 4] = kind
    source, out = tmp_path / "source.mov", tmp_path / "out.mov"
    source.write_bytes(data)
    with av.open(str(source)) as container:
        number = next(s.index for s in container.streams if s.type == "data")
    _, _, report = recode(source, out, FAST)
    with av.open(str(out)) as container:
        assert [s.type for s in container.streams] == ["video"]
    (named,) = [text for text in report.not_carried if text.startswith(f"data stream {number}")]
    assert "where it was filmed" in named


def test_chapters_keep_their_title_alone():
    assert kept_tags({"title": "one", "title-fre": "un", "GPS": "48.8577"}) == {"title": "one", "title-fre": "un"}
