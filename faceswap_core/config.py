"""TOML -> JobSettings: every setting of a job, checked; one branch per stage.

A branch is the cache boundary: a task is given its own branch only, and its key covers all of it. ``runtime``
says how fast a job runs and on what, never what comes out beyond rounding, and is in no key.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from faceswap_core.config_align import AlignSettings as AlignSettings
from faceswap_core.config_align import MaskSettings as MaskSettings
from faceswap_core.config_blend import BlendSettings as BlendSettings
from faceswap_core.config_blend import SmoothSettings as SmoothSettings
from faceswap_core.config_branch import Branch, Place
from faceswap_core.config_encode import EncodeSettings as EncodeSettings
from faceswap_core.config_output import OutputSettings as OutputSettings
from faceswap_core.config_provenance import LabelSettings as LabelSettings
from faceswap_core.config_provenance import ProvenanceSettings as ProvenanceSettings
from faceswap_core.config_quality import QualitySettings as QualitySettings
from faceswap_core.config_track import Pick, TrackId
from faceswap_core.config_track import TrackSettings as TrackSettings
from faceswap_core.config_training import TrainSettings as TrainSettings
from faceswap_core.errors import SettingsError
from faceswap_core.modelstore import names_folder


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
    tracks: tuple[TrackId, ...] = ()
    """Tracks that are the subject, as numbered on the contact sheet; before the reference and ``pick``."""
    pick: Pick = "auto"
    """Which face is the subject where several are seen: ``largest``, ``left`` or ``right``; ``auto`` asks."""


class SubjectSettings(Branch):
    """One person and the footage to learn from."""

    videos: tuple[Path, ...] = ()
    """Videos in which this person is seen."""
    images: Path | None = None
    """Folder of aligned pictures (PNG, JPEG) to learn from, beside videos or in place of them."""
    consent: Path | None = None
    """Consent record of this person."""
    reference: Path | None = None
    """Picture of this person's face, by which it is found among others; for detectors that give embeddings."""
    tracks: dict[Path, tuple[TrackId, ...]] = Field(default_factory=dict)
    """By video: the tracks that are this person, as numbered on the contact sheet."""
    pick: Pick = "auto"
    """Which face it is where several are seen: ``largest``, ``left`` or ``right``; ``auto`` asks."""


class SwapTarget(Branch):
    """Whose face is drawn."""

    to: str
    """Name of the subject whose face replaces that of the plate."""
    batch: int = Field(default=16, ge=1, le=512)
    """Faces per pass of the network."""
    occlusion: float = Field(default=0.0, ge=0, le=1)
    """Difference, of 1, by which the network misses what it sees of the plate's own face and above which that is taken
    for something before the face, such as a hand, and left as it is; 0 swaps it all."""


class DecodeSettings(Branch):
    """How a video is cut into chunks."""

    chunk_frames: int | None = Field(default=None, ge=8, le=36000)
    """Smallest length of a chunk in frames (it ends at a keyframe); by default clamp(frames / 250, 240, 4000)."""
    max_pixels: int = Field(default=8192 * 8192, ge=256)
    """Largest frame accepted, width times height in pixels."""
    max_memory_mb: int = Field(default=4096, ge=512, le=1 << 20)
    """Address space of the process that first reads a video, in MiB; the default suffices for 8K frames."""
    max_seconds: float = Field(default=60.0, ge=1, le=86400)
    """Processor time of that process without a further frame, in seconds; ten times as long on the clock."""


class DetectSettings(Branch):
    """How faces are found."""

    paths: ClassVar[frozenset[str]] = frozenset({"pack", "model_file"})

    backend: Literal["builtin", "mtcnn", "insightface", "yunet", "truth"] = "builtin"
    """``builtin``: MTCNN finds faces, FaceMesh follows them. ``mtcnn``: it alone, frame by frame. ``insightface``:
    SCRFD, 106 points and identities, from a pack. ``yunet``: YuNet in OpenCV. ``truth``: exact points of a rendered
    actor's TRUTH manifest."""
    pack: str = "buffalo_l"
    """Of ``insightface``: the folder of its pack (with a slash), or the pack's name in the model store."""
    model_file: Path | None = None
    """Of ``yunet``: its ONNX file."""
    min_score: float = Field(default=0.5, ge=0, le=1)
    """Lowest score of a face that is kept; tracking drops tracks that never reach ``track.start_score``."""
    min_face: float = Field(default=0.1, gt=0, le=1)
    """Smallest face looked for, as a share of the frame's height."""
    max_side: int = Field(default=640, ge=64, le=8192)
    """Frames are reduced to this longer side, in pixels, before the search."""

    def with_full_paths(self, full: Callable[[Path], Path]) -> DetectSettings:
        """The same settings with every path put through ``full``."""
        pack = str(full(Path(self.pack))) if names_folder(self.pack) else self.pack
        return self.model_copy(update={"pack": pack, "model_file": full(self.model_file) if self.model_file else None})


class NormalizeSettings(Branch):
    """How the colours of A are brought to those of B."""

    rule: Literal["none", "mean", "std"] = "std"
    """``mean``: A += mean(B) - mean(A); ``std``: also scaled by std(B) / std(A); per channel."""


class RuntimeSettings(Branch):
    """Speed only: never part of a cache key."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where networks run."""
    workers: int = Field(default=2, ge=1, le=256)
    """Chunks worked on at once."""
    runner: Literal["threads", "processes", "dask", "ray"] = "threads"
    """What works on them; ``dask`` and ``ray`` come as extras. Threads cost least, and most of the work does not hold
    Python's lock. Networks run in the process of the job itself whatever it is."""
    cluster: str = Field(default="", pattern=r"^$|^([a-z]+://)?[\w.-]+:\d+$")
    """Of ``dask`` and ``ray``: HOST:PORT of a cluster that runs, whose machines have the workspace under the same path
    and workers of one thread; by default workers are started on this machine."""
    segment_seconds: float = Field(default=0.0, ge=0, le=86400)
    """Length of the segments in which a plate is converted, in seconds; other workers of the Prefect server take some
    of them, as runs of the deployment ``convert-segment``. 0 shares nothing; below 60 starting a run costs more than it
    brings. Workers on other machines need footage, records and workspace under the same paths, or the last in a
    bucket."""
    threads: int = Field(default=1, ge=1, le=256)
    """Torch threads of the training; at draft sizes one is as fast as two, and does not stall beside other work."""
    compile: Literal["off", "default", "cuda_graphs"] = "off"
    """Whether the network is compiled for training, and its kernels launched as one graph: for long GPU trainings."""
    processes: int = Field(default=1, ge=1, le=64)
    """Processes of a training on this machine, one a GPU; ``train.batch`` is divided among all of them."""
    nodes: int = Field(default=1, ge=1, le=1024)
    """Machines of a training; each runs the same job over the same workspace."""
    node: int = Field(default=0, ge=0)
    """Number of this machine."""
    rendezvous: str = Field(default="", pattern=r"^$|^[\w.-]+:\d+$")
    """HOST:PORT of machine 0, where several meet."""
    ask_hours: float = Field(default=24.0, ge=0, le=720)
    """How long a deployment's run waits in the flow UI for an answer to who is who; 0 never asks. A command does not
    wait: it ends with 4 and says how to go on."""


class JobSettings(Branch):
    """A whole job, as the job file states it; paths are relative to the job file."""

    name: str = Field(pattern=r"^[\w][\w. -]{0,80}$")
    """Name of the job, shown in the flow UI."""
    workspace: Place
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
    masks: MaskSettings = MaskSettings()
    """Which part of a face is swapped."""
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
    provenance: ProvenanceSettings = ProvenanceSettings()
    """What the consents must cover, who signs the output, and how it is labelled."""
    quality: QualitySettings = QualitySettings()
    """How much of the result is measured."""
    runtime: RuntimeSettings = RuntimeSettings()
    """Speed only."""

    @model_validator(mode="after")
    def _names_fit(self) -> Self:
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

    def training_sources(self, subject: str) -> tuple[Path, ...]:
        """Its videos for training, then its folder of images where it has one."""
        images = self.subjects[subject].images
        return (*self.training_videos(subject), *((images,) if images else ()))

    def with_absolute_paths(self, folder: Path) -> JobSettings:
        """The same job with every path made absolute from ``folder``."""

        def full(path: Path) -> Path:
            if re.match("s3:/", str(path)):
                raise SettingsError(f"{path} is in a bucket: only the workspace can be there, give a local copy")
            try:
                return (folder / path.expanduser()).absolute()
            except RuntimeError as error:
                raise SettingsError(f"path {path} names the home of an unknown user ({error}): correct it") from error

        subjects = {name: _with_full_paths(name, subject, full) for name, subject in self.subjects.items()}
        train = self.train.model_copy(
            update={name: full(path) for name in self.train.paths if (path := getattr(self.train, name))}
        )
        return self.model_copy(
            update={
                "workspace": full(self.workspace) if isinstance(self.workspace, Path) else self.workspace,
                "plate": self.plate.model_copy(
                    update={
                        "video": full(self.plate.video),
                        "truth": full(self.plate.truth) if self.plate.truth else None,
                    }
                ),
                "output": self.output.model_copy(
                    update={name: full(path) for name in ("video", "folder") if (path := getattr(self.output, name))}
                ),
                "subjects": subjects,
                "provenance": self.provenance.model_copy(
                    update={
                        name: full(path)
                        for name in ("trusted_keys", "revocations", "certificates", "key")
                        if (path := getattr(self.provenance, name))
                    }
                ),
                "train": train,
                "detect": self.detect.with_full_paths(full),
            }
        )


def _with_full_paths(name: str, subject: SubjectSettings, full: Callable[[Path], Path]) -> SubjectSettings:
    videos = tuple(full(v) for v in subject.videos)
    tracks = {full(video): ids for video, ids in subject.tracks.items()}
    if others := [str(video) for video in tracks if video not in videos]:
        raise SettingsError(f"subjects.{name}.tracks names {others}: name videos of subjects.{name}.videos there")
    return subject.model_copy(
        update={
            "videos": videos,
            "tracks": tracks,
            "images": full(subject.images) if subject.images else None,
            "consent": full(subject.consent) if subject.consent else None,
            "reference": full(subject.reference) if subject.reference else None,
        }
    )
