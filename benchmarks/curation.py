"""How long it takes to choose the best 500 of 5,000 faces, and what measuring a face costs.

`python -m benchmarks.curation`: writes 5,000 chips of 128 px into a new folder (500 of a rendered actor in various
light, their figures and thumbnails varied ten times), then times opening the faceset and `best 500`, reading included;
no video is there to be decoded. One JSON object a line.
"""

from __future__ import annotations

import json
import tempfile
import time

import numpy as np

from faceswap_core import layout, manifest
from faceswap_core.config import AlignSettings
from faceswap_core.faces.geometry import compose, fit_similarity, invert, similarity_matrix, template5, template_to_chip
from faceswap_core.manifest import Row
from faceswap_core.schemas import ALIGNED
from faceswap_core.stages.align import AlignedChunk, figures, warp_chip
from faceswap_core.stages.detect import five_of_68
from faceswap_core.stages.faceset import Faceset, record_faceset
from faceswap_core.stages.images import pack
from faceswap_core.storage import Workspace
from faceswap_core.synth.actor import frames
from faceswap_core.synth.identity import identity
from faceswap_core.synth.performance import performance
from faceswap_core.threads import cap_threads

FACES, BEST, DISTINCT, RENDERED = 5000, 500, 500, 25
FLOOR_SECONDS = 5.0
ALIGN = AlignSettings()


def main() -> None:
    cap_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(folder)
        _tell("align-landmarks", "figures_ms_per_face", _fill(workspace), "ms", None)
        began, cpu = time.perf_counter(), time.process_time()
        Faceset.open(workspace.root).best(BEST)
        seconds = time.perf_counter() - began
        _tell("faces-best", "seconds", seconds, "s", FLOOR_SECONDS)
        _tell("faces-best", "cpu_seconds", time.process_time() - cpu, "s", FLOOR_SECONDS)
        kept = Faceset.open(workspace.root).to_pandas()["keep"].sum()
        assert kept == BEST, kept


def _fill(workspace: Workspace) -> float:
    """Write the faceset; returns what its figures cost for a face, in ms of CPU."""
    to_chip = template_to_chip(ALIGN.size, ALIGN.eye_distance, ALIGN.coverage, ALIGN.centre)
    chips = []
    for frame in frames(identity(21), performance(RENDERED, seed=5, fps=5), width=240, height=200, face_px=150):
        five = five_of_68(frame.landmarks.astype(np.float32))
        to_frame = similarity_matrix(fit_similarity(template5(), five.astype(np.float64)))
        chips.append(warp_chip(frame.rgb, compose(to_chip, invert(to_frame)), ALIGN.size))
    rng, measured, spent = np.random.default_rng(0), [], 0.0
    for number in range(DISTINCT):
        chip = np.clip(chips[number % RENDERED] * rng.uniform(0.6, 1.2), 0, 255).astype(np.uint8)
        began = time.process_time()
        found = figures(chip, template5(), ALIGN)
        spent += time.process_time() - began
        measured.append(found | {"chip": pack(chip)})
    rows = [_varied(measured[number % DISTINCT], number, rng) for number in range(FACES)]
    ref = manifest.publish(workspace, layout.ALIGNED, "aligned-0000", ALIGNED, rows)
    record_faceset(workspace, {"b": {"b.mp4": [AlignedChunk(aligned=ref, masks=ref)]}})
    return 1000 * spent / DISTINCT


def _varied(face: Row, number: int, rng: np.random.Generator) -> Row:
    noise = rng.normal(0, 4, len(face["thumbnail"]))
    thumbnail = np.clip(np.frombuffer(face["thumbnail"], np.uint8) + noise, 0, 255).astype(np.uint8).tobytes()
    place = {"frame_index": number, "face_index": 0, "track_id": 0, "shot": 0, "subject": "b", "score": 1.0}
    turned = {"yaw": rng.normal(0, 25), "pitch": rng.normal(0, 10), "roll": 0.0, "size": 200.0}
    varied = {"thumbnail": thumbnail, "sharpness": face["sharpness"] * rng.uniform(0.5, 1), "video": "0" * 64}
    return face | place | turned | varied | {"interpolated": False, "hash": int(rng.integers(2**63))}


def _tell(stage: str, metric: str, value: float, unit: str, floor: float | None) -> None:
    ratio = None if floor is None else value / floor
    line = {"stage": stage, "metric": metric, "value": round(value, 3), "unit": unit, "floor": floor, "ratio": ratio}
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
