"""What signing costs: a finished video of 100 MB gets its manifest and its sidecar; the bytes are sound, mostly.

``provenance_seconds``: wall time of the whole stage. It is bound by reading and hashing, so a disk under load shows.

    python -m benchmarks.provenance [--megabytes N] [--repeats N] [--folder DIR]
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame

from faceswap_core.config_provenance import ProvenanceSettings
from faceswap_core.stages.decode import video_ref
from faceswap_core.stages.sign import sign_video
from faceswap_core.trust.identity import make_test_chain, utc_now

MAX_SECONDS = 2.0
_RATE = 192_000
"""Samples a second of the sound, 2 x 2 bytes each."""


def write_large(path: Path, megabytes: int) -> None:
    """A QuickTime file of a still picture a second and uncompressed noise."""
    noise = np.random.default_rng(0).integers(-9999, 9999, (1, 2 * _RATE), np.int16)
    with av.open(str(path), "w") as out:
        video, sound = out.add_stream("mpeg4", rate=1), out.add_stream("pcm_s16le", rate=_RATE, layout="stereo")
        video.width, video.height, video.pix_fmt = 64, 64, "yuv420p"
        for second in range(megabytes * 1_000_000 // (4 * _RATE) + 1):
            out.mux(video.encode(VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), "rgb24")))
            frame = AudioFrame.from_ndarray(noise, format="s16", layout="stereo")
            frame.sample_rate, frame.pts, frame.time_base = _RATE, second * _RATE, Fraction(1, _RATE)
            out.mux(sound.encode(frame))
        out.mux(video.encode(None))


def main() -> None:
    """Sign a few times and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=None)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        chain = make_test_chain(utc_now())
        (folder / "chain.pem").write_bytes(chain.chain_pem)
        (folder / "key.pem").write_bytes(chain.key_pem)
        (folder / "key.pem").chmod(0o600)
        signer = ProvenanceSettings(certificates=folder / "chain.pem", key=folder / "key.pem")
        write_large(folder / "large.mov", options.megabytes)
        statement = {"generator": {"name": "faceswap-pipeline", "version": "0"}, "test": True}
        video = video_ref(folder / "large.mov")
        for _ in range(options.repeats):
            wall, cpu = time.perf_counter(), time.process_time()
            sign_video(video, video, statement, signer, folder / "out.mov")
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            row = {"stage": "sign", "metric": "provenance_seconds", "value": round(wall, 3), "unit": "s"}
            row |= {
                "cpu_seconds": round(cpu, 3),
                "bytes": video["size"],
                "most": MAX_SECONDS,
                "load": os.getloadavg()[0],
            }
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
