"""What the seeds claim of their network, as trainings to run and as verdicts over the rows that these give.

A verdict is taken from one number a pair and seed, a ratio that is above 1 where the statement is true of that
training. It holds where the 95 % interval of the geometric mean lies above 1, does not where it lies below, and is
not decided where it includes 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

Row = dict[str, Any]
"""One judged training: pair, conditions, variant, seed, steps, what it cost and what the truth makes of it."""

HOLDS, FAILS, OPEN = "holds", "does not hold", "not decided"
REFERENCE = "dense, pixelshuffle, std"
"""The variant that the others are compared with."""
MIN_TRANSFER = 0.5
"""A drawn face of less is nearer to the plate than to the truth: it is no swap."""

SIZES = (
    *("train.resolution=64", "train.width=16", "train.latent=128", "train.batch=8", "train.learning_rate=0.001"),
    *("train.rotation=1.5", "train.zoom=0.01", "train.shift=0.01", "train.optimizer=adam", "train.losses.ssim=0"),
    *("train.checkpoint_every=1000000", "train.timelapse=false"),
)
"""Demo scale, whatever the draft preset becomes."""
_OFF = ("train.side_norm=false", "train.dropout=0", "train.mask_weight=0", "train.losses.match=0")
CONDITIONS: dict[str, tuple[str, ...]] = {
    "ours": SIZES,
    "plain": (*SIZES, *_OFF, "train.losses.edge=0", "train.eye_weight=0", "train.mouth_weight=0"),
}
"""``ours``: the defaults. ``plain``: the seeds' L1 over the whole picture, without what this project added."""
NETWORKS: dict[str, tuple[str, ...]] = {
    REFERENCE: (),
    "no bottleneck": ("train.bottleneck=none",),
    "1x1 convolutions": ("train.bottleneck=conv1x1",),
    "deconvolution": ("train.upsample=deconv",),
    "resize": ("train.upsample=resize",),
}
"""Networks that are trained for equal steps, and for equal CPU seconds where they are cheaper."""
NO_COLOURS, MEAN = "no colour matching", "mean matching"
COLOURS: dict[str, tuple[str, ...]] = {NO_COLOURS: ("normalize.rule=none",), MEAN: ("normalize.rule=mean",)}
"""Colours that are judged along the way."""
GAN = "gan"


@dataclass(frozen=True)
class Spread:
    """Geometric mean of ratios and its 95 % interval (Student's t over the logarithms)."""

    mean: float
    """Geometric mean."""
    low: float
    """Lower end."""
    high: float
    """Upper end."""

    @property
    def verdict(self) -> str:
        """Whether the ratio is above 1."""
        return HOLDS if self.low > 1 else FAILS if self.high < 1 else OPEN


def spread(ratios: Iterable[float]) -> Spread:
    """Mean and interval of positive ratios; of a single one nothing is known.

    Raises:
        ValueError: there are none, or one is not positive.
    """
    values = list(ratios)
    if not values or min(values) <= 0:
        raise ValueError(f"ratios {values} must be positive numbers, at least one: run the trainings first")
    logs = np.log(values)
    half = math.inf
    if len(logs) > 1:
        half = float(stats.t.ppf(0.975, len(logs) - 1) * logs.std(ddof=1) / len(logs) ** 0.5)
    mean = float(logs.mean())
    return Spread(math.exp(mean), math.exp(mean - half), math.exp(mean + half) if half < math.inf else math.inf)


def fails_to_swap(row: Row) -> float:
    """Above 1: transfer is below one half, or more of the face is neither plate nor truth than of the mean face."""
    return float(max(MIN_TRANSFER / max(row["transfer"], 1e-6), row["residual"] / row["mean_face_residual"]))


def steps_to(level: float, curve: Sequence[tuple[int, float]]) -> float:
    """Step at which an error first falls to a level, between two judged steps in proportion.

    Args:
        level: the error to be reached.
        curve: (step, error) in order.

    Raises:
        ValueError: it is never reached.
    """
    before: tuple[int, float] | None = None
    for step, error in curve:
        if error <= level:
            if before is None:
                return float(step)
            share = (before[1] - level) / max(before[1] - error, 1e-12)
            return before[0] + share * (step - before[0])
        before = (step, error)
    raise ValueError(f"error {level} is not reached in {list(curve)}: take one that every curve reaches")


def picked(rows: Iterable[Row], **wanted: Any) -> dict[tuple[str, int], Row]:
    """Rows that say what is wanted, by pair and seed."""
    return {(r["pair"], r["seed"]): r for r in rows if all(r[k] == v for k, v in wanted.items())}


def against(rows: Sequence[Row], one: Row, other: Row, ratio: Callable[[Row, Row], float]) -> list[float]:
    """A ratio of two variants for each pair and seed that has both; ``one`` and ``other`` say which rows."""
    first, second = picked(rows, **one), picked(rows, **other)
    return [ratio(first[key], second[key]) for key in sorted(first.keys() & second.keys())]


def speed_up(rows: Sequence[Row], conditions: str, figure: str, one: str, other: str) -> list[float]:
    """Steps that ``other`` takes over those of ``one`` to the error that both reach, by pair and seed."""
    curves: dict[tuple[str, int], dict[str, list[tuple[int, float]]]] = {}
    for row in rows:
        if row["conditions"] == conditions and row["at"] in ("curve", "steps") and row["variant"] in (one, other):
            of_run = curves.setdefault((row["pair"], row["seed"]), {})
            of_run.setdefault(row["variant"], []).append((row["steps"], row[figure]))
    found = []
    for _, both in sorted(curves.items()):
        if len(both) == 2:
            level = max(min(error for _, error in curve) for curve in both.values())
            mine, theirs = (steps_to(level, sorted(both[name])) for name in (one, other))
            found.append(theirs / mine)
    return found


@dataclass(frozen=True)
class Statement:
    """One thing that a claim says, and the ratio by which it is tested."""

    claim: str
    """Which of the seeds' claims."""
    says: str
    """The statement, true where the ratio is above 1."""
    ratios: Callable[[Sequence[Row], str, str], list[float]]
    """Rows, conditions and what is held equal (``steps`` or ``cpu``) -> ratio of each pair and seed."""

    def judged(self, rows: Sequence[Row], conditions: str, at: str) -> Row | None:
        """The verdict; None where no row speaks of it."""
        ratios = self.ratios(rows, conditions, at)
        if not ratios:
            return None
        found = spread(ratios)
        says = {"claim": self.claim, "says": self.says, "conditions": conditions, "equal": at}
        ends = (found.low, found.high) if found.high < math.inf else (None, None)
        low, high = (end and round(end, 3) for end in ends)
        return (
            says
            | {"mean": round(found.mean, 3), "low": low, "high": high}
            | {"trainings": len(ratios), "verdict": found.verdict}
        )


Ratios = Callable[[Sequence[Row], str, str], list[float]]


def _fails(variant: str) -> Ratios:
    def ratios(rows: Sequence[Row], conditions: str, at: str) -> list[float]:
        wanted = {"conditions": conditions, "variant": variant, "at": at}
        return against(rows, wanted, wanted, lambda row, _: fails_to_swap(row))

    return ratios


def _more(figure: str, variant: str, other: str = REFERENCE, *, at_other: str = "steps", sign: int = 1) -> Ratios:
    """How many times more of a figure one variant has than another, or with ``sign`` -1, less."""

    def ratios(rows: Sequence[Row], conditions: str, at: str) -> list[float]:
        one = {"conditions": conditions, "variant": variant, "at": at}
        two = {"conditions": conditions, "variant": other, "at": at_other}
        return against(rows, one, two, lambda a, b: float((a[figure] / b[figure]) ** sign))

    return ratios


def _sooner(figure: str) -> Ratios:
    def ratios(rows: Sequence[Row], conditions: str, at: str) -> list[float]:
        return speed_up(rows, conditions, figure, MEAN, NO_COLOURS) if at == "steps" else []

    return ratios


_NONE, _PAIR, *_UPSAMPLERS = (name for name in NETWORKS if name != REFERENCE)
STATEMENTS = (
    Statement("the reference itself", "it cannot swap", _fails(REFERENCE)),
    Statement("no dense layer", "it cannot swap", _fails(_NONE)),
    Statement("no dense layer", "its swap error is higher than with one", _more("swap_error", _NONE)),
    Statement(
        "no dense layer", "it redraws a face better than with one", _more("reconstruction_error", _NONE, sign=-1)
    ),
    *(Statement(f"{name} for PixelShuffle", "it cannot swap", _fails(name)) for name in _UPSAMPLERS),
    *(
        Statement(f"{name} for PixelShuffle", "its swap error is higher than with it", _more("swap_error", name))
        for name in _UPSAMPLERS
    ),
    Statement("1x1 pair for dense layer", "its swap error is higher than with the layer", _more("swap_error", _PAIR)),
    Statement("1x1 pair for dense layer", "it cannot swap", _fails(_PAIR)),
    Statement("mean matching", "it reaches a swap error in fewer steps than without", _sooner("swap_error")),
    Statement("mean matching", "it redraws equally well in fewer steps", _sooner("reconstruction_error")),
    Statement("mean matching", "its last swap error is lower than without", _more("swap_error", NO_COLOURS, MEAN)),
    Statement("std matching (ours)", "its last swap error is lower than by means", _more("swap_error", MEAN)),
    Statement(
        "GAN in 2/5 of the steps", "its swap error is lower", _more("swap_error", GAN, at_other="longer", sign=-1)
    ),
    Statement("GAN in equal steps", "its swap error is lower", _more("swap_error", GAN, sign=-1)),
    Statement("GAN in equal steps", "its picture is sharper", _more("sharpness_to_truth", GAN)),
    Statement("GAN in 2/5 of the steps", "its picture is sharper", _more("sharpness_to_truth", GAN, at_other="longer")),
)
"""All that is tested."""


def verdicts(rows: Sequence[Row]) -> list[Row]:
    """Every statement under every condition, for equal steps and for equal CPU seconds."""
    found = (
        statement.judged(rows, conditions, at)
        for statement in STATEMENTS
        for conditions in CONDITIONS
        for at in ("steps", "cpu")
    )
    return [verdict for verdict in found if verdict]


def table(rows: Sequence[Row]) -> list[str]:
    """Lines of a Markdown table: mean and standard deviation, over pairs and seeds, of what each variant gave."""
    figures = ("cpu_seconds", "swap_error", "swap_over_mean_face", "transfer", "residual", "reconstruction_error")
    columns = ("conditions", "variant", "equal", "steps", *figures, "sharpness_to_truth")
    lines = ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        if row["at"] != "curve":
            groups.setdefault((row["conditions"], row["variant"], row["at"]), []).append(row)
    for names, group in groups.items():
        if names[2] == "cpu" and all(r["steps"] == groups[(*names[:2], "steps")][0]["steps"] for r in group):
            continue  # nothing was trained on
        cells = [*names, f"{np.mean([r['steps'] for r in group]):.0f}"]
        for name in columns[len(cells) :]:
            values = [r[name] for r in group]
            about = f" ± {np.std(values, ddof=1):.4f}" if len(values) > 1 and name != "cpu_seconds" else ""
            cells.append(f"{np.mean(values):.1f}" if name == "cpu_seconds" else f"{np.mean(values):.4f}{about}")
        lines.append("| " + " | ".join(cells) + " |")
    return lines
