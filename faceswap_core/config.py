"""TOML -> JobSettings: every setting of a job, checked; one branch per stage.

A branch is the cache boundary: a task is given its own branch only, and its key covers all of it. ``runtime``
says how fast a job runs and on what, never what comes out beyond rounding, and is in no key.
"""

from __future__ import annotations

import re
import reprlib
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from faceswap_core.errors import SettingsError
from faceswap_core.types import Json

MAX_JOB_BYTES = 256 * 1024

_KEY = r"""(?:[\w-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')"""
_DEEP_KEY = re.compile(rf"(?<![\w.\\-]){_KEY}(?:[ \t]*\.[ \t]*{_KEY}){{32}}")
"""A dotted key of more parts than any setting has; the parser's memory grows with the square of their number."""


class Branch(BaseModel):
    """A frozen group of settings that refuses unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class PlateSettings(Branch):
    """The video to be changed."""

    video: Path
    """Video in which the face is replaced."""
    subject: str
    """Name of the subject seen in it."""
    truth: Path | None = None
    """Video of the swap's ground truth, frame for frame (rendered actors only); judged against, never trained on."""
    plate_for_training: bool = True
    """Whether the plate's faces join the training set of its subject."""


class SubjectSettings(Branch):
    """One person and the footage to learn from."""

    videos: tuple[Path, ...] = ()
    """Videos in which this person is the largest face."""
    consent: Path | None = None
    """Consent record of this person."""


class SwapTarget(Branch):
    """Whose face is drawn."""

    to: str
    """Name of the subject whose face replaces that of the plate."""
    batch: int = Field(default=16, ge=1, le=512)
    """Faces per pass of the network."""


class OutputSettings(Branch):
    """What is written for the user."""

    video: Path
    """The finished video."""


class DecodeSettings(Branch):
    """How a video is cut into chunks."""

    chunk_frames: int | None = Field(default=None, ge=8, le=36000)
    """Smallest length of a chunk in frames (it ends at a keyframe); by default clamp(frames / 300, 240, 3600)."""
    max_pixels: int = Field(default=8192 * 8192, ge=256)
    """Largest frame accepted, width times height in pixels."""


class DetectSettings(Branch):
    """How faces are found."""

    backend: Literal["mtcnn", "truth"] = "mtcnn"
    """``mtcnn``: the built-in detector. ``truth``: exact points of a rendered actor's TRUTH manifest."""
    min_score: float = Field(default=0.5, ge=0, le=1)
    """Lowest score of a face that is kept; tracking drops tracks that never reach ``track.start_score``."""
    min_face: float = Field(default=0.1, gt=0, le=1)
    """Smallest face looked for, as a share of the frame's height."""
    max_side: int = Field(default=640, ge=64, le=8192)
    """Frames are reduced to this longer side, in pixels, before the search."""


class TrackSettings(Branch):
    """How detections become tracks."""

    min_iou: float = Field(default=0.3, gt=0, le=1)
    """Least overlap (intersection over union) of a face with itself one frame later."""
    start_score: float = Field(default=0.9, ge=0, le=1)
    """Score that a track must reach at least once; weaker faces may only continue it."""
    max_gap: int = Field(default=5, ge=0, le=1000)
    """Longest gap, in frames, filled by interpolation."""
    cut_threshold: float = Field(default=0.12, gt=0, le=1)
    """Mean absolute luma difference of two thumbnails, of 1, above which a shot ends."""
    smooth_radius: int = Field(default=3, ge=0, le=60)
    """Reach of the zero-phase filter of the points, in frames to each side; 0 switches it off."""


class AlignSettings(Branch):
    """How faces are cut out."""

    size: int = Field(default=128, ge=64, le=2048, multiple_of=8)
    """Side of a chip in pixels."""
    eye_distance: float = Field(default=0.47, gt=0.1, lt=0.9)
    """Distance of the eyes' centres as a share of the network's view (the chip's inner square)."""
    coverage: float = Field(default=0.625, gt=0.2, le=1)
    """Side of the network's view as a share of the chip's side; the rest is margin for augmentation."""


class NormalizeSettings(Branch):
    """How the colours of A are brought to those of B."""

    rule: Literal["none", "mean", "std"] = "std"
    """``mean``: A += mean(B) - mean(A); ``std``: also scaled by std(B) / std(A); per channel."""


_SEED_AUGMENTATION: dict[str, Any] = {"rotation": 10.0, "zoom": 0.05, "shift": 0.05, "warp": 0.03125}

TRAIN_PRESETS: dict[str, dict[str, Any]] = {
    "draft": {"resolution": 64, "width": 16, "latent": 128, "batch": 8, "iterations": 4000, "learning_rate": 1e-3},
    "standard": {
        **{"resolution": 128, "width": 64, "latent": 512, "batch": 32, "iterations": 60_000, "learning_rate": 2e-4},
        **_SEED_AUGMENTATION,
    },
    "master": {
        **{"resolution": 256, "width": 128, "latent": 1024, "batch": 16, "iterations": 200_000, "learning_rate": 1e-4},
        **_SEED_AUGMENTATION,
    },
}
"""What each training preset sets."""


class TrainSettings(Branch):
    """How the network is built and trained."""

    preset: Literal["draft", "standard", "master"] = "draft"
    """``draft`` fits two CPU cores; ``standard`` and ``master`` need a GPU."""
    model: str = "original"
    """Name of a network, or the path of a finished checkpoint folder (then nothing is trained)."""
    resolution: int = Field(default=64, ge=64, le=512, multiple_of=64)
    """Side of the network's input and output in pixels."""
    width: int = Field(default=16, ge=4, le=256)
    """Channels after the first convolution (128 in the seeds)."""
    latent: int = Field(default=128, ge=8, le=4096)
    """Length of the latent vector (1024 in the seeds)."""
    batch: int = Field(default=8, ge=1, le=1024)
    """Faces a side in one step."""
    iterations: int = Field(default=3000, ge=1, le=100_000_000)
    """Steps in all; a higher number later goes on from the last step."""
    learning_rate: float = Field(default=1e-3, gt=0, le=1)
    """Step size of Adam."""
    ema: float = Field(default=0.998, ge=0, lt=1)
    """Decay of the averaged weights, which are the ones used; 0 uses the last step's."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Arithmetic of the passes (weights are always fp32); ``auto`` is bf16 where the hardware has it."""
    mask_weight: float = Field(default=1.0, ge=0, le=1)
    """Share of the image loss that is weighted by the face mask; the rest counts every pixel alike."""
    edge_weight: float = Field(default=1.0, ge=0, le=10)
    """Weight of the edge loss, which sharpens eyes and brows."""
    alpha_weight: float = Field(default=0.1, ge=0, le=10)
    """Weight of the loss of the alpha head."""
    dropout: float = Field(default=0.15, ge=0, lt=0.9)
    """Share of the latent vector's entries set to zero in training, so that the swap does not overfit."""
    validation_share: float = Field(default=0.1, ge=0, lt=0.9)
    """Share of each video, its last stretch of time, held out from training."""
    checkpoint_every: int = Field(default=500, ge=1)
    """Steps between checkpoints; at most so many are lost when a run is killed."""
    rotation: float = Field(default=3.0, ge=0, le=45)
    """Largest random turn in degrees."""
    zoom: float = Field(default=0.02, ge=0, le=0.5)
    """Largest random change of size."""
    shift: float = Field(default=0.02, ge=0, le=0.5)
    """Largest random shift as a share of the view's side."""
    flip: float = Field(default=0.4, ge=0, le=1)
    """Chance of a mirrored sample."""
    warp: float = Field(default=0.02, ge=0, le=0.2)
    """Standard deviation of the 5x5 warp as a share of the view's side (5 px of 160 in the seeds)."""
    light: float = Field(default=0.2, ge=0, le=1)
    """Spread of a random shading across the view, in natural logarithms from centre to edge."""
    color: float = Field(default=0.1, ge=0, le=1)
    """Spread of a random gain of all channels, and half as much of each apart, in natural logarithms."""

    @model_validator(mode="before")
    @classmethod
    def _fill_from_preset(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        return {**TRAIN_PRESETS.get(str(given.get("preset", "draft")), {}), **given}


class SmoothSettings(Branch):
    """How patches are steadied in time."""

    strength: float = Field(default=0.5, ge=0, le=1)
    """Weight of neighbouring frames; 0 switches the filter off."""
    radius: int = Field(default=2, ge=0, le=30)
    """Reach of the filter in frames to each side."""
    tolerance: float = Field(default=0.06, gt=0, le=1)
    """Difference, of 1, above which a pixel counts as moved and is not averaged."""


class BlendSettings(Branch):
    """How a patch is laid over the frame."""

    mode: Literal["feather"] = "feather"
    """Alpha compositing with a soft edge."""
    feather: float = Field(default=0.1, ge=0, le=0.5)
    """Width of the soft edge as a share of the patch's side."""
    erode: float = Field(default=0.02, ge=0, le=0.5)
    """How far the mask is drawn in, as a share of the patch's side."""


class EncodeSettings(Branch):
    """How the output is encoded."""

    codec: Literal["libx264", "libx264rgb", "ffv1"] = "libx264"
    """Encoder of the video stream; ``ffv1`` and crf 0 are lossless."""
    preset: Literal["ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower"] = "medium"
    """x264 preset."""
    crf: int = Field(default=16, ge=0, le=51)
    """x264 constant rate factor; 0 is lossless."""
    threads: int = Field(default=1, ge=1, le=64)
    """Threads of the encoder; part of the result, since x264's output depends on it."""
    options: dict[str, str] = Field(default_factory=dict)
    """Further encoder options, given as they are."""


class RuntimeSettings(Branch):
    """Speed only: never part of a cache key."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where networks run."""
    workers: int = Field(default=2, ge=1, le=256)
    """Chunks worked on at once."""
    threads: int = Field(default=2, ge=1, le=256)
    """Torch threads of the training."""


class JobSettings(Branch):
    """A whole job, as the job file states it; paths are relative to the job file."""

    name: str = Field(pattern=r"^[\w][\w. -]{0,80}$")
    """Name of the job, shown in the flow UI."""
    workspace: Path
    """Folder for everything that the job makes."""
    seed: int = Field(default=0, ge=0, lt=2**31)
    """Seed of every random choice."""
    plate: PlateSettings
    """The video to be changed."""
    subjects: dict[str, SubjectSettings] = Field(min_length=2, max_length=2)
    """The two people."""
    swap: SwapTarget
    """Whose face is drawn."""
    output: OutputSettings
    """What is written."""
    decode: DecodeSettings = DecodeSettings()
    """How videos are cut into chunks."""
    detect: DetectSettings = DetectSettings()
    """How faces are found."""
    track: TrackSettings = TrackSettings()
    """How detections become tracks."""
    align: AlignSettings = AlignSettings()
    """How faces are cut out."""
    normalize: NormalizeSettings = NormalizeSettings()
    """How colours are matched."""
    train: TrainSettings = TrainSettings()
    """How the network is trained."""
    smooth: SmoothSettings = SmoothSettings()
    """How patches are steadied."""
    blend: BlendSettings = BlendSettings()
    """How patches are laid over the frame."""
    encode: EncodeSettings = EncodeSettings()
    """How the output is encoded."""
    runtime: RuntimeSettings = RuntimeSettings()
    """Speed only."""

    @field_validator("workspace", mode="before")
    @classmethod
    def _local(cls, given: Any) -> Any:
        if isinstance(given, str) and "://" in given:
            raise ValueError("object stores cannot be used yet: name a local folder")
        return given

    @model_validator(mode="after")
    def _names_fit(self) -> Self:
        if re.match(r"[a-z][a-z0-9+.-]+:/", str(self.workspace)):
            raise ValueError(f"workspace {str(self.workspace)!r} is no local folder: object stores cannot be used yet")
        names = sorted(self.subjects)
        for field, name in (("plate.subject", self.plate.subject), ("swap.to", self.swap.to)):
            if name not in self.subjects:
                raise ValueError(f"{field} is {name!r}, which is none of the subjects {names}")
        if self.plate.subject == self.swap.to:
            raise ValueError(f"plate.subject and swap.to are both {self.swap.to!r}: they must differ")
        return self

    def training_videos(self, subject: str) -> tuple[Path, ...]:
        """Videos whose faces train the decoder of ``subject``, the plate included where it is meant to be."""
        plate = (self.plate.video,) if subject == self.plate.subject and self.plate.plate_for_training else ()
        return tuple(dict.fromkeys((*self.subjects[subject].videos, *plate)))

    def with_absolute_paths(self, folder: Path) -> JobSettings:
        """The same job with every path made absolute from ``folder``."""

        def full(path: Path) -> Path:
            try:
                return (folder / path.expanduser()).absolute()
            except RuntimeError as error:
                raise SettingsError(f"path {path} names the home of an unknown user ({error}): correct it") from error

        subjects = {
            name: subject.model_copy(
                update={
                    "videos": tuple(full(v) for v in subject.videos),
                    "consent": full(subject.consent) if subject.consent else None,
                }
            )
            for name, subject in self.subjects.items()
        }
        train = self.train
        if names_checkpoint(train.model):
            train = train.model_copy(update={"model": str(full(Path(train.model)))})
        return self.model_copy(
            update={
                "workspace": full(self.workspace),
                "plate": self.plate.model_copy(
                    update={
                        "video": full(self.plate.video),
                        "truth": full(self.plate.truth) if self.plate.truth else None,
                    }
                ),
                "output": OutputSettings(video=full(self.output.video)),
                "subjects": subjects,
                "train": train,
            }
        )


def names_checkpoint(model: str) -> bool:
    """True when ``train.model`` is the path of a finished checkpoint, not the name of a network."""
    return "/" in model or "\\" in model or model.startswith(".")


def load_job(path: Path, overrides: Sequence[str] = ()) -> JobSettings:
    """Read a job file, apply ``key.path=value`` overrides, check it, make its paths absolute.

    Raises:
        SettingsError: the file cannot be read, or a setting is unknown or out of range.
    """
    try:
        size = path.stat().st_size
        if size > MAX_JOB_BYTES:
            raise SettingsError(f"job file {path} has {size} bytes, at most {MAX_JOB_BYTES} are read: make it smaller")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"job file {path} cannot be read ({error}): give the path of a TOML file") from error
    if _DEEP_KEY.search(text):
        raise SettingsError(f"job file {path} has a key of more than 32 parts: no setting lies so deep, remove it")
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # beside TOMLDecodeError: a number of thousands of digits
        raise SettingsError(f"job file {path} is not valid TOML ({error}): mend it and try again") from error
    for override in overrides:
        _set_value(data, override)
    return parse_job(data, source=str(path)).with_absolute_paths(path.absolute().parent)


def parse_job(data: Json, *, source: str) -> JobSettings:
    """Check the parsed content of a job file.

    Raises:
        SettingsError: naming each setting that is wrong, the value got and what is accepted.
    """
    try:
        return JobSettings.model_validate(data)
    except ValidationError as error:
        lines = [_explain(item) for item in error.errors()]
        raise SettingsError(f"{source}: " + "; ".join(lines)) from error


def _explain(item: Any) -> str:
    where = ".".join(str(part) for part in item["loc"]) or "job"
    if item["type"] == "extra_forbidden":
        return f"unknown setting {where!r}: remove it or correct its name"
    if item["type"] == "missing":
        return f"{where!r} is missing: add it"
    if item["type"] == "too_short" and where == "subjects":
        return f"a swap needs two subjects, {item['ctx']['actual_length']} given: add [subjects.NAME]"
    got = item["input"] if isinstance(item["input"], str) else reprlib.repr(item["input"])
    return f"{where!r}: {item['msg']} (got {got[:80]!r})"


def _set_value(data: Json, override: str) -> None:
    key, equals, text = override.partition("=")
    parts = key.strip().split(".")
    if not equals or not all(re.fullmatch(r"[\w-]+", part) for part in parts):
        raise SettingsError(f"override {override!r} is not of the form key.path=value, such as train.iterations=500")
    branch = data
    for part in parts[:-1]:
        branch = branch.setdefault(part, {})
        if not isinstance(branch, dict):
            raise SettingsError(f"override {override!r}: {part!r} is a value, not a group of settings")
    branch[parts[-1]] = _toml_value(text.strip())


def _toml_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        return text
