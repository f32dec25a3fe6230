"""The one place with path templates of a workspace."""

from __future__ import annotations

FRAMES = "decode-frames"
DETECTIONS = "detect-faces"
TRACKS = "track-faces"
SHEETS = "contact-sheet"
ALIGNED = "align-landmarks"
MASKS = "make-masks"
IMPORTED = "import-images"
COLOR_STATS = "normalize-color"
TRAINING = "train-model"
SWAPPED = "swap-frames"
SMOOTHED = "smooth-frames"
REPORTS = "verify-video"
PATCHES = "export-patches"
IMAGES = "export-images"
DELIVERED = "deliver-folder"
FOLDER_REPORTS = "verify-folder"
EVALUATION = "evaluate-swap"
UNSTEADIED = "swap-unsmoothed"
QUALITY = "measure-quality"
IDENTITY = "train-identity-judge"
PREVIEWS = "previews"
CHUNKS = "chunks"
CHECKPOINTS = "checkpoints"
ACTORS = "actors"
RUNS = "runs"
FACESETS = "facesets"
SELECTIONS = "selections"
RESULTS = ".prefect-results"
PROOFS = "proofs"
LINEAGE = "lineage.jsonl"
ASSEMBLED = "assemble-video"
OUTPUTS = "outputs"
LINEAGE_PARTS = "lineage"

ANCHORS = {RUNS: "run.json", CHECKPOINTS: "consents.json"}
"""Of folders that are made piece by piece: the file that is written first."""
SCRATCH = ".tmp"
HERE_ONLY = frozenset({SCRATCH, PROOFS})
"""Folders that no other machine sees: temporary files, and what this machine has proven for itself."""


def chunk_name(stem: str, chunk_index: int) -> str:
    """Name of a chunk's manifest: ``detections-0003``."""
    return f"{stem}-{chunk_index:04d}"


def chunk_folder(stage: str, chunk_index: int) -> str:
    """Folder of a chunk's images."""
    return f"{stage}/{chunk_index:04d}"


def checkpoint_folder(key: str) -> str:
    """Folder of one training's checkpoints."""
    return f"{CHECKPOINTS}/{key}"


def assembled(name: str) -> str:
    """A video before it is signed and gets its place."""
    return f"{ASSEMBLED}/{name}"


def run_folder(run_id: str) -> str:
    """Folder of one run's records and reports."""
    return f"{RUNS}/{run_id}"


def run_record(run_id: str) -> str:
    """What a run says of itself."""
    return f"{run_folder(run_id)}/run.json"


def result_record(key: str) -> str:
    """Record of a task run."""
    return f"{RESULTS}/{key}"


def kept_output(sha256: str, suffix: str) -> str:
    """Copy of a finished file that lies outside the workspace."""
    return f"{OUTPUTS}/{sha256}{suffix}"


def lineage_part(digest: str) -> str:
    """Lines of the list of what comes from whom, where a list cannot be appended to."""
    return f"{LINEAGE_PARTS}/{digest}.jsonl"
