"""manifests of a run -> figures and pictures for its report."""

from __future__ import annotations

import base64
import io
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from fnmatch import fnmatch

import matplotlib
import numpy as np
import torch

from faceswap_core import manifest
from faceswap_core.config import DetectSettings, RuntimeSettings
from faceswap_core.faces.detectors import weight_files
from faceswap_core.faces.steadying import jitter
from faceswap_core.manifest import Row
from faceswap_core.schemas import FRAMES, TRACKS, TRAIN_LOG
from faceswap_core.stages.decode import check_source, decoded_index, missing_frames
from faceswap_core.stages.images import jpeg
from faceswap_core.stages.pairs import pairs
from faceswap_core.stages.states import frame_states
from faceswap_core.stages.timeline import curves, state_strip
from faceswap_core.stages.watch import TIMELAPSE
from faceswap_core.stages.weights import pick_device, read_facts
from faceswap_core.storage import Workspace
from faceswap_core.types import F64, I64, U8, FileRef, Json, ManifestRef
from faceswap_core.video.container import announced_seconds
from faceswap_core.video.index import FrameIndex

matplotlib.use("Agg")

_WIDEST = 720
"""Columns of a picture in the report, at most."""
_SPARE_SECONDS = 0.5
"""How much longer than its pictures a whole file may be: sound often is, a little."""
_GREY = "#8a8f98"
"""Readable on white and on black."""


def frame_counts(workspace: Workspace, tracks: Sequence[ManifestRef], chunks: Sequence[ManifestRef]) -> Json:
    """The ``frames`` part of report.json, and the reasons of frames that are not simply swapped."""
    interpolated = {row["frame_index"] for row in _subject_rows(workspace, tracks) if row["interpolated"]}
    return state_counts(workspace, chunks) | {"interpolated": len(interpolated)}


def state_counts(workspace: Workspace, chunks: Sequence[ManifestRef]) -> Json:
    """Frames in all and in each state, with the reasons of those that are not simply swapped."""
    states = frame_states(workspace, chunks)
    counts = Counter(str(s["state"]) for s in states)
    return {
        "total": len(states),
        **{state: counts[state] for state in ("swapped", "passed_through", "no_face", "failed")},
        "reasons": dict(Counter(str(s["reason"]) for s in states if s["state"] != "swapped")),
    }


def source_damage(workspace: Workspace, video: FileRef, frames: Sequence[ManifestRef]) -> list[str]:
    """Sentences on what is wrong with a source video; none for a whole one.

    They name the frames that the file promises and that cannot be decoded, so that the output lacks them; those
    that the decoder had to mend, so that they passed through; an end before the length that the file announces;
    and what else its index says of it.

    Raises:
        MediaError: the video changed since it was decoded.
    """
    said = []
    if missing := missing_frames(workspace, frames):
        said.append(f"{len(missing)} frames cannot be decoded and are missing: {_ranges(missing)}")
    corrupt = [
        row["frame_index"]
        for ref in frames
        for row in manifest.stream(workspace, ref, FRAMES, ["frame_index", "corrupt"])
        if row["corrupt"]
    ]
    if corrupt:
        said.append(f"{len(corrupt)} damaged frames passed through: {_ranges(corrupt)}")
    check_source(video)
    index = decoded_index(workspace, frames)
    return [*said, *filter(None, [_early_end(video, index), index.facts.why])]


def _early_end(video: FileRef, index: FrameIndex) -> str:
    """A sentence where the pictures end well before the length that the container announces."""
    announced = announced_seconds(video["path"])
    end = float((index.pts[-1] + index.duration[-1]) * index.facts.time_base)
    reached = max(end, end - float(index.pts[0] * index.facts.time_base))
    if announced is None or announced - reached <= _SPARE_SECONDS:
        return ""
    return (
        f"the file announces {announced:.2f} s and its pictures end at {reached:.2f} s: it is cut off or has more sound"
    )


def _ranges(numbers: Sequence[int]) -> str:
    """Increasing numbers in words, such as ``3, 8-12``."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1] = [runs[-1][0], number]
        else:
            runs.append([number, number])
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


def frames_in_state(workspace: Workspace, chunks: Sequence[ManifestRef], state: str) -> list[int]:
    """frame_index of all frames that ended in a state."""
    return [int(s["frame_index"]) for s in frame_states(workspace, chunks) if s["state"] == state]


def faces_report(workspace: Workspace, tracks: Sequence[ManifestRef], settings: DetectSettings) -> Json:
    """The ``faces`` part of report.json: jitter as a share of the eyes' distance, averaged over tracks by length."""
    by_track: dict[int, list[Row]] = defaultdict(list)
    for row in _subject_rows(workspace, tracks):
        by_track[row["track_id"]].append(row)
    figures: Json = {"backend": settings.backend, "licence": weights_licence(settings)}
    for name, column in (("jitter_before", "points5_raw"), ("jitter_after", "points5")):
        figures[name] = mean_jitter(list(by_track.values()), column)
    figures["gaps_filled"] = sum(row["interpolated"] for rows in by_track.values() for row in rows)
    if figures["jitter_before"] is None:
        figures["reason"] = "in no track a face was found in three frames in a row"
    return figures


def weights_licence(settings: DetectSettings) -> str | None:
    """Terms of the detector's weights; None where it has none."""
    files = weight_files(settings)
    unknown = [file.name for file in files if file.licence is None]
    known = sorted({file.licence for file in files if file.licence})
    return "; ".join([*known, f"not known here: {', '.join(unknown)}"] if unknown else known) or None


def _subject_rows(workspace: Workspace, tracks: Sequence[ManifestRef]) -> Iterator[Row]:
    columns = ["frame_index", "track_id", "subject", "points5", "points5_raw", "interpolated"]
    for ref in tracks:
        yield from (r for r in manifest.stream(workspace, ref, TRACKS, columns) if r["subject"] is not None)


def mean_jitter(tracks: Sequence[Sequence[Row]], column: str) -> float | None:
    """Jitter of a column of points over rows of TRACKS, track by track, each counted by its length; None of none."""
    found = [(_jitter(rows, column), len(rows)) for rows in tracks]
    known = [(value, length) for value, length in found if value is not None]
    return sum(value * length for value, length in known) / sum(length for _, length in known) if known else None


def _jitter(rows: Sequence[Row], column: str) -> float | None:
    frames: I64 = np.array([row["frame_index"] for row in rows], np.int64)
    points: F64 = np.array([row[column] for row in rows], np.float64).reshape(-1, 5, 2)
    return jitter(points, frames, ~np.array([row["interpolated"] for row in rows], bool))


def model_facts(workspace: Workspace, weights: FileRef) -> Json:
    """Name, sizes, sides and steps of the network in use; the colours of both sides, and what brings them together."""
    facts = read_facts(workspace.localize(weights["path"], weights["sha256"]))
    colors = {
        name: {
            "mean": one.mean.tolist(),
            "scale": one.to_common.scale.tolist(),
            "shift": one.to_common.shift.tolist(),
        }
        for name, one in zip(facts.sides, facts.colors, strict=True)
    }
    return {
        "model": facts.model,
        "steps": facts.step,
        "sides": list(facts.sides),
        "colors": colors,
        **asdict(facts.build),
    }


def device_facts(runtime: RuntimeSettings) -> Json:
    """Where networks run."""
    device = pick_device(runtime)
    return {
        "device": device.type,
        "gpu": torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        "torch_threads": runtime.threads,
    }


def training_events(workspace: Workspace, log: ManifestRef) -> list[str]:
    """What befell a training, in words, such as going back to a checkpoint."""
    return [row["event"] for row in manifest.stream(workspace, log, TRAIN_LOG, ["event"]) if row["event"]]


def judged_checkpoints(workspace: Workspace, log: ManifestRef) -> tuple[list[Json], dict[str, str]]:
    """The checkpoints of a training as judged without a truth, see `LogRow`; and why figures are missing, by name."""
    names = ("validation_a", "validation_b", "cycle", "likeness", "landmarks", "identity")
    rows = [r for r in manifest.stream(workspace, log, TRAIN_LOG, ["step", *names]) if r["cycle"] is not None]
    found = [{**row, "score": row["cycle"] + row["likeness"]} for row in rows]
    why = {
        "landmarks": "the detector saw no face in the swap",
        "identity": "the detector gives no embeddings, or saw no face in the swap",
    }
    missing = {f"checkpoints.{n}": words for n, words in why.items() if any(row[n] is None for row in rows)}
    return found, missing if rows else {"checkpoints": "no face of the plate's person is held out from training"}


def loss_curve(workspace: Workspace, log: ManifestRef) -> str:
    """Losses over the steps as an SVG data URI, readable on light and dark ground."""
    from matplotlib.figure import Figure  # slow to import, and needed once a run

    table = manifest.load(workspace, log, TRAIN_LOG).to_pandas()
    figure = Figure(figsize=(7.2, 2.9), layout="constrained")
    axes = figure.add_subplot()
    table = table[table["event"].isna()]
    for name, color in (("a", "#3b82f6"), ("b", "#f59e0b")):
        axes.plot(table["step"], table[f"loss_{name}"], color=color, lw=1.4, label=f"{name.upper()} training")
        held_out = table.dropna(subset=[f"validation_{name}"])
        axes.plot(held_out["step"], held_out[f"validation_{name}"], "o--", color=color, ms=3, lw=1,
                  label=f"{name.upper()} held out")  # fmt: skip
    for name, color in (("cycle", "#10b981"), ("likeness", "#a855f7")):
        judged = table.dropna(subset=[name])
        axes.plot(judged["step"], judged[name], "s:", color=color, ms=3, lw=1, label=f"swap: {name}")
    axes.set_xlabel("steps", color=_GREY)
    axes.set_ylabel("masked L1", color=_GREY)
    axes.tick_params(colors=_GREY)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(_GREY)
    axes.grid(color=_GREY, alpha=0.2)
    if len(table):
        axes.legend(frameon=False, labelcolor=_GREY, fontsize=8)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    return _data_uri("image/svg+xml", buffer.getvalue())


def timelapse(workspace: Workspace, folder: str) -> list[Json]:
    """The pictures that a training left on its way: step, picture."""
    names = workspace.pull(f"{folder}/{TIMELAPSE}", lambda name: fnmatch(name, "*/step-*.png"))
    found = sorted(map(workspace.path, names))
    return [{"step": int(p.stem.partition("-")[2]), "picture": _data_uri("image/png", p.read_bytes())} for p in found]


def metric_curves(workspace: Workspace, chunks: Sequence[ManifestRef], rows: Sequence[Row]) -> list[Json]:
    """`curves` of all measured frames, their pictures as data URIs."""
    states = frame_states(workspace, chunks)
    last = max((int(state["frame_index"]) for state in states), default=0)
    drawn = curves(rows, last)
    for curve in drawn:
        pair = curve["pictures"]
        curve["pictures"] = [_data_uri("image/jpeg", picture) for picture in pair] if pair else None
    return drawn


def strip_of(workspace: Workspace, chunks: Sequence[ManifestRef]) -> list[Json]:
    """`state_strip` of all frames."""
    return state_strip(frame_states(workspace, chunks))


def picture_uri(workspace: Workspace, picture: FileRef) -> str:
    """A published PNG as a data URI."""
    return _data_uri("image/png", workspace.localize(picture["path"], picture["sha256"]).read_bytes())


def before_and_after(
    workspace: Workspace, plate: FileRef, frames: Sequence[ManifestRef], chunks: Sequence[ManifestRef], count: int = 4
) -> list[Json]:
    """Some swapped frames, spread over the plate, as they were and as they are: frame_index, before, after."""
    return [
        {"frame_index": frame_index, "before": _jpeg(before), "after": _jpeg(after)}
        for frame_index, before, after in pairs(workspace, plate, frames, chunks, count)
    ]


def _jpeg(image: U8) -> str:
    return _data_uri("image/jpeg", jpeg(image, _WIDEST))


def _data_uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
