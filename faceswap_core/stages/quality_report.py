"""rows of QUALITY -> the ``quality`` part of report.json: figures, their baselines, and why one is missing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from faceswap_core import manifest
from faceswap_core.manifest import Row
from faceswap_core.quality.identity_net import towards
from faceswap_core.quality.temporal import correlation, root_mean_square, without_noise
from faceswap_core.schemas import QUALITY
from faceswap_core.stages.judge_identity import LEAST_RECOGNISED
from faceswap_core.stages.quality_series import Moment, flicker_moments, jitter_moments
from faceswap_core.storage import Workspace
from faceswap_core.types import F64, Json, ManifestRef

_BASELINES = ("no_swap", "ideal", "unsmoothed")
_NO_FACE = "no swapped frame was measured"
_NO_LANDMARKS = "the detector found no face in three measured frames in a row of both videos"
_NO_TRUTH = "no ground truth"
_NO_SAMPLE = "no frames were swapped again without steadying"
_NO_IDENTITY = "`faceswap evaluate` measures it, of rendered actors (quality.identity_heads)"
_NO_MESH = "the detector gives no mesh, or mouth or eyes do not move"
_WHY = {
    **dict.fromkeys(("landmark_nme", "residual_jitter", "residual_jitter_unsmoothed"), _NO_LANDMARKS),
    **dict.fromkeys(("flicker_unsmoothed", "sharpness_ratio"), _NO_SAMPLE),
    **dict.fromkeys(("sharpness_to_truth", "identity_transfer"), _NO_TRUTH),
    **dict.fromkeys(("identity_network", "identity_network_transfer"), _NO_IDENTITY),
    "encode_loss": "the output is no video",
    **dict.fromkeys(("pose_error", "mouth_correlation", "eyes_correlation"), _NO_MESH),
    **dict.fromkeys(("jitter_ratio", "flicker_ratio"), f"{_NO_TRUTH}, {_NO_SAMPLE}, or the ideal is as unsteady"),
    **dict.fromkeys(("flicker", "warping_error_ratio"), "no three measured frames stand in a row"),
}


def load_quality(workspace: Workspace, refs: Sequence[ManifestRef]) -> list[Row]:
    """All rows of all chunks."""
    return [row for ref in refs for row in manifest.stream(workspace, ref, QUALITY)]


def quality_report(
    rows: Sequence[Row], unmeasured: Mapping[str, int | None], off: bool, identity: Json | None = None
) -> Json:
    """Figures of the swap over all measured frames, and beside it of its baselines over the frames of the sample.

    What stands beside a ``*_unsmoothed`` and ``sharpness_ratio`` is measured on the sample's frames, where there is
    one. ``jitter_ratio`` and ``flicker_ratio`` compare both after the judge's own noise, measured on the ideal
    composite, was taken off in squares. Where something is null, ``reasons`` says why; ``not_measured`` counts frames
    that should have been measured and could not be, by the reason.

    Args:
        rows: of QUALITY.
        unmeasured: how many frames could not be measured, by the reason; None: all.
        off: whether the job asked for no measuring at all.
        identity: how well the network that tells actors apart does on unseen ones; None: it was not trained.
    """
    by_variant = {name: [row for row in rows if row["variant"] == name] for name in ("swap", *_BASELINES)}
    swap = by_variant["swap"]
    sample = _sample_of(by_variant)
    report: Json = {name: figure(swap) for name, figure in FIGURES.items()}
    compared = {name: {k: figure(part) for k, figure in FIGURES.items()} for name, part in sample.items()}
    for name in ("residual_jitter", "flicker"):
        report[f"{name}_unsmoothed"] = compared.get("unsmoothed", {}).get(name)
        if compared:
            report[name] = compared["swap"][name]
    report["sharpness_ratio"] = _sharpness_ratio(sample)
    report |= {f"{short}_ratio": _ratio(compared, name) for short, name in _COMPARED.items()}
    report["identity_network"] = identity
    for name, part in sample.items():
        compared[name]["identity_network_transfer"] = _way(sample, part)
    report["identity_network_transfer"] = compared.get("swap", {}).get("identity_network_transfer")
    report["frames"] = len({row["frame_index"] for row in swap})
    report["sample"] = _span(sample.get("unsmoothed", []))
    report["baselines"] = {_LABELS[name]: values for name, values in compared.items()}
    missing = [name for name, value in report.items() if value is None]
    why = "quality.frames is 0" if off else next(iter(unmeasured), _NO_FACE)
    known = _WHY if identity is None else _WHY | {"identity_network_transfer": _why_unused(identity)}
    report["reasons"] = {name: known.get(name, why) if swap else why for name in missing}
    report["not_measured"] = dict(unmeasured)
    return report


_COMPARED = {"jitter": "residual_jitter", "flicker": "flicker"}
_LABELS = {"swap": "swap", "unsmoothed": "unsmoothed", "no_swap": "no_swap", "ideal": "ideal_composite"}


def _why_unused(identity: Json) -> str:
    """Why there is a network that tells actors apart and nothing that it says of the swap."""
    if identity["recognised"] >= LEAST_RECOGNISED:
        return _NO_SAMPLE
    return (
        f"the network knew {identity['recognised']:.2f} of the true swaps of actors it never saw, "
        f"{LEAST_RECOGNISED} is the least: it is not used (more quality.identity_heads teach it more)"
    )


def _sample_of(by_variant: Mapping[str, list[Row]]) -> dict[str, list[Row]]:
    """Each variant's rows of the frames that were measured in all of them; none without an unsmoothed swap."""
    if not by_variant["unsmoothed"]:
        return {}
    keys = {(row["frame_index"], row["face_index"]) for row in by_variant["unsmoothed"]}
    found = {n: [r for r in rows if (r["frame_index"], r["face_index"]) in keys] for n, rows in by_variant.items()}
    return {name: rows for name, rows in found.items() if rows}


def _span(rows: Sequence[Row]) -> Json | None:
    if not rows:
        return None
    frames = [int(row["frame_index"]) for row in rows]
    return {"first": min(frames), "last": max(frames), "frames": len(set(frames)), "shot": int(rows[0]["shot"])}


def _ratio(compared: Mapping[str, Json], name: str) -> float | None:
    """Steadied over unsteadied, both without the judge's noise."""
    made, rough, noise = (compared.get(variant, {}).get(name) for variant in ("swap", "unsmoothed", "ideal"))
    if made is None or rough is None or noise is None or rough <= noise:
        return None
    return without_noise(made, noise) / without_noise(rough, noise)


def _sharpness_ratio(sample: Mapping[str, list[Row]]) -> float | None:
    if not sample:
        return None
    made, rough = (_mean(sample[name], "sharpness") for name in ("swap", "unsmoothed"))
    return made / rough if made is not None and rough else None


def _way(sample: Mapping[str, list[Row]], made: Sequence[Row]) -> float | None:
    """How far the traits of some rows went from the plate's to those of the ideal composite."""
    three = [_traits(rows) for rows in (made, sample.get("no_swap", ()), sample.get("ideal", ()))]
    return towards(*three) if all(len(traits) for traits in three) else None


def _traits(rows: Sequence[Row]) -> F64:
    return np.array([row["traits"] for row in rows if row["traits"] is not None], np.float64)


def _mean(rows: Sequence[Row], column: str) -> float | None:
    values = [row[column] for row in rows if row[column] is not None]
    return float(np.mean(values)) if values else None


def _over(rows: Sequence[Row], column: str, below: str) -> float | None:
    """Mean of one column over that of another, where both are known."""
    both = [row for row in rows if row[column] is not None and row[below] is not None]
    above, beneath = _mean(both, column), _mean(both, below)
    return above / beneath if above is not None and beneath else None


def _all_of(moments: Sequence[Moment]) -> float | None:
    return root_mean_square(np.array([moment.value for moment in moments])) if moments else None


def _together(rows: Sequence[Row], column: str) -> float | None:
    both = [(r[column], r[f"{column}_plate"]) for r in rows if r[column] is not None]
    made, plate = np.array(both, np.float64).reshape(-1, 2).T
    return correlation(made, plate)


FIGURES: Mapping[str, Callable[[Sequence[Row]], float | None]] = {
    "landmark_nme": lambda rows: _mean(rows, "nme"),
    "residual_jitter": lambda rows: _all_of(jitter_moments(rows)),
    "flicker": lambda rows: _all_of(flicker_moments(rows)),
    "warping_error_ratio": lambda rows: _over(rows, "warp", "warp_plate"),
    "sharpness_to_plate": lambda rows: _over(rows, "sharpness", "sharpness_plate"),
    "sharpness_to_truth": lambda rows: _over(rows, "sharpness", "sharpness_truth"),
    "seam_ratio": lambda rows: _mean(rows, "seam"),
    "background_leak": lambda rows: max((float(row["leak"]) for row in rows), default=None),
    "identity_transfer": lambda rows: _mean(rows, "transfer"),
    "encode_loss": lambda rows: _mean(rows, "encode_loss"),
    "pose_error": lambda rows: _mean(rows, "pose_error"),
    "mouth_correlation": lambda rows: _together(rows, "mouth"),
    "eyes_correlation": lambda rows: _together(rows, "eyes"),
}
"""Figures of one variant by name.

landmark_nme: mean distance of the landmarks to the plate's, share of the eyes' distance (`landmark_nme`).
residual_jitter: root mean square of `trembles`, share of the eyes' distance. flicker: that of `flickers`, CIE L*a*b*.
warping_error_ratio: mean `warping_error` over the plate's. sharpness_to_plate, sharpness_to_truth: mean `sharpness`
over theirs. seam_ratio: mean `seam_ratio`. background_leak: largest `background_leak`, 8-bit code values.
identity_transfer: mean transfer along truth - plate, the truth in the plate's mean colour (`transfer_and_residual`).
encode_loss: mean change of the face by encoding, the label included where it lies there, 8-bit code values.
pose_error: mean length of the difference of yaw, pitch and roll, degrees. mouth_correlation, eyes_correlation:
Pearson's correlation over time of how far they are open (`openness`) with the plate's.
"""
