"""Small films of several containers, and how unchecked ones are read: by what the limited child does with each."""

from fractions import Fraction

import av
import numpy as np
from av.video.frame import VideoFrame

from faceswap_core.errors import FaceswapError
from faceswap_core.trust.c2pa import MIME_TYPES, child_manifest, sign_stream
from faceswap_core.trust.identity import identity_of, make_test_chain, utc_now
from faceswap_core.video.checked import child_decode
from faceswap_core.video.index import build_index, plan_chunks
from faceswap_core.video.sandbox import ignore

FILMS = {
    "mp4": ("libx264", "mp4"),
    "mov": ("prores_ks", "mov"),
    "mkv": ("libx264", "matroska"),
    "webm": ("libvpx-vp9", "webm"),
    "ts": ("libx264", "mpegts"),
    "avi": ("mpeg4", "avi"),
}
"""Suffix -> encoder and muxer."""
_FRAMES = 8


def write_film(path):
    """A film of its suffix's kind; an MP4 has a signed manifest."""
    codec, muxer = FILMS[path.suffix[1:]]
    with av.open(str(path), "w", format=muxer, options={"movflags": "faststart"} if muxer == "mp4" else {}) as out:
        stream = out.add_stream(codec, rate=Fraction(25))
        stream.width, stream.height = 64, 48
        stream.pix_fmt = "yuv422p10le" if codec == "prores_ks" else "yuv420p"
        for number in range(_FRAMES):
            picture = np.full((48, 64, 3), 20 * number, np.uint8)
            out.mux(stream.encode(VideoFrame.from_ndarray(picture, "rgb24")))
        out.mux(stream.encode(None))
    if muxer == "mp4":
        _sign(path)


def _sign(path):
    chain = make_test_chain(utc_now())
    identity = identity_of(chain.chain_pem, chain.key_pem, "key")
    statement = {"generator": {"name": "x", "version": "0"}}
    signed = path.with_name("signed.mp4")
    with path.open("rb") as source, signed.open("w+b") as target:
        sign_stream(source, target, "video/mp4", title="x", statement=statement, plate=None, identity=identity)
    signed.replace(path)


def read_film(path):
    """Index, frames and manifest of a film; returns the number of frames that were decoded."""
    index = build_index(path)
    frames = []
    for chunk in plan_chunks(index, 20):
        child_decode({"path": str(path), "chunk": vars(chunk)}, frames.append)
    if mime := MIME_TYPES.get(path.suffix):
        child_manifest({"path": str(path), "mime": mime, "anchors": []}, ignore)
    return len(frames)


def child_films(arguments, tell):
    """Read films one after the other; told of each: ``read``, the class of our error, or ``fault: ...``."""
    from pathlib import Path

    for name in arguments["paths"]:
        try:
            read_film(Path(name))
            tell("read")
        except FaceswapError as error:
            tell(type(error).__name__)
        except MemoryError:
            tell("memory")
        except Exception as error:  # as the child of the sandbox does, which makes a MediaError of it
            tell(f"fault: {type(error).__name__}: {error}"[:300])
