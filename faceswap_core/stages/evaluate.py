"""plate + truth + weights -> how near the swap comes to the truth, beside its baselines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

import cv2
import numpy as np

from faceswap_core import layout, manifest
from faceswap_core.config import AlignSettings, RuntimeSettings
from faceswap_core.errors import NoFaceError
from faceswap_core.manifest import Row
from faceswap_core.models.augment import plain_views
from faceswap_core.quality.metrics import masked_l1, masked_ssim, transfer_and_residual
from faceswap_core.schemas import ALIGNED, EVALUATION, MASKS
from faceswap_core.stages.align import AlignedChunk
from faceswap_core.stages.images import unpack
from faceswap_core.stages.weights import Swapper, check_view, pick_device
from faceswap_core.storage import Workspace
from faceswap_core.threads import cap_threads
from faceswap_core.types import F32, F64, U8, FileRef, Json, ManifestRef

_GROUP = 16
_BLUR = 5 / 64
"""Standard deviation of the blurred truth, as a share of the view's side."""


def evaluate_swap(
    workspace: Workspace,
    plate: Sequence[AlignedChunk],
    truth: Sequence[AlignedChunk],
    training: Sequence[AlignedChunk],
    weights: FileRef,
    direction: tuple[str, str],
    align: AlignSettings,
    runtime: RuntimeSettings,
) -> ManifestRef:
    """Judge every frame that shows a face in both the plate and the truth.

    All is measured in chip space, inside the plate's face mask, in the common colour space: the swap
    D_B(E(A_t)) as `Swapper.draw` gives it, the plate A_t after mean normalisation, the mean face of B's training
    set, the reconstruction D_B(E(B_t)), and the truth blurred.

    Args:
        workspace: where manifests are.
        plate: aligned faces of the plate.
        truth: aligned faces of the truth, cut out by the same detector and alignment.
        training: aligned faces of the drawn subject's training set.
        weights: trained weights.
        direction: subject of the plate, subject drawn.
        align: how chips were cut.
        runtime: device and threads.

    Raises:
        NoFaceError: plate and truth share no frame with a face.
    """
    cap_threads(runtime.threads)
    swapper = Swapper(workspace, weights, pick_device(runtime))
    check_view(swapper.facts, align)
    judge = _Judge(swapper, direction, align, _mean_view(workspace, training, swapper, align))
    pairs = _pairs(_views(workspace, plate, swapper, align), _views(workspace, truth, swapper, align))
    rows = list(judge.rows(pairs))
    if not rows:
        raise NoFaceError("plate and truth share no frame with a face: render the truth of this very plate")
    return manifest.publish(workspace, layout.EVALUATION, "evaluation", EVALUATION, rows)


class _Judge:
    """Network, baselines and colours of one evaluation."""

    def __init__(self, swapper: Swapper, direction: tuple[str, str], align: AlignSettings, mean_view: F32) -> None:
        self.swapper = swapper
        self.source, self.target = (swapper.facts.side_of(name) for name in direction)
        colors = swapper.facts.colors
        self.mean_shift: F64 = colors[self.target].mean - colors[self.source].mean
        self.mean_view = mean_view

    def rows(self, pairs: Iterator[tuple[int, U8, U8]]) -> Iterator[Row]:
        """Judge (frame_index, plate view, truth view), views (R, R, 4) with the mask last."""
        while group := list(islice(pairs, _GROUP)):
            plates = np.stack([p for _, p, _ in group]).astype(np.float32)
            truths = np.stack([t for _, _, t in group]).astype(np.float32)
            swaps = self._drawn(plates, self.source)
            again = self._drawn(truths, self.target)
            for i, (frame_index, _, _) in enumerate(group):
                yield {"frame_index": frame_index} | self._judge(plates[i], truths[i], swaps[i], again[i])

    def _drawn(self, views: F32, source: int) -> F32:
        """D_target(E(views)) (N, R, R, 3) 0..1 in the colours of the target's own side."""
        drawn = self.swapper.draw(views[..., :3], source=source, target=self.target)
        own = self.swapper.facts.colors[self.target].to_common.inverse()
        return np.asarray(np.clip(own.apply(drawn[..., :3]) / np.float32(255), 0, 1), np.float32)

    def _judge(self, plate: F32, truth: F32, swap: F32, again: F32) -> Row:
        mask = plate[..., 3] / np.float32(255)
        a = ((plate[..., :3] + self.mean_shift.astype(np.float32)) / 255).astype(np.float32)
        b = np.asarray(truth[..., :3] / np.float32(255), np.float32)
        blurred = np.asarray(cv2.GaussianBlur(b, (0, 0), _BLUR * b.shape[0]), np.float32)
        row = {"swap": masked_l1(swap, b, mask), "plate": masked_l1(a, b, mask)}
        row |= {"mean_face": masked_l1(self.mean_view, b, mask), "reconstruction": masked_l1(again, b, mask)}
        made = {"": swap, "reconstruction_": again, "mean_face_": self.mean_view, "blurred_truth_": blurred}
        for name, image in made.items():
            row[f"{name}transfer"], row[f"{name}residual"] = transfer_and_residual(image, a, b, mask)
            row[f"{name}ssim"] = masked_ssim(image, b, mask)
        return row | {"plate_ssim": masked_ssim(a, b, mask)}


def _views(
    workspace: Workspace, chunks: Sequence[AlignedChunk], swapper: Swapper, align: AlignSettings
) -> Iterator[tuple[int, U8]]:
    """(frame_index, view (R, R, 4) with the mask last), in order."""
    for chunk in chunks:
        faces = manifest.stream(workspace, chunk["aligned"], ALIGNED, ["frame_index", "chip"])
        masks = manifest.stream(workspace, chunk["masks"], MASKS, ["mask"])
        for row, mask in zip(faces, masks, strict=True):
            chip = np.dstack([unpack(row["chip"]), unpack(mask["mask"])])
            view = plain_views(chip[None], resolution=swapper.resolution, coverage=align.coverage)[0]
            yield row["frame_index"], view.astype(np.uint8)


def _pairs(plate: Iterator[tuple[int, U8]], truth: Iterator[tuple[int, U8]]) -> Iterator[tuple[int, U8, U8]]:
    """Views of the frames that both sides have."""
    other = next(truth, None)
    for frame_index, view in plate:
        while other is not None and other[0] < frame_index:
            other = next(truth, None)
        if other is not None and other[0] == frame_index:
            yield frame_index, view, other[1]


def _mean_view(workspace: Workspace, training: Sequence[AlignedChunk], swapper: Swapper, align: AlignSettings) -> F32:
    """Mean (R, R, 3) 0..1 of the training views."""
    total, count = np.zeros((swapper.resolution, swapper.resolution, 3)), 0
    for _, view in _views(workspace, training, swapper, align):
        total += view[..., :3]
        count += 1
    if not count:
        raise NoFaceError("the drawn subject has no face in its footage: the mean face, a baseline, cannot be had")
    return np.asarray(total / count / 255, np.float32)


def truth_report(workspace: Workspace, ref: ManifestRef) -> Json:
    """The ``truth`` part of report.json: ratios of mean errors, and means of the rest over frames."""
    table = manifest.load(workspace, ref, EVALUATION).to_pandas()
    mean = table.mean()
    report: Json = {
        "frames": len(table),
        "swap_error": float(mean["swap"]),
        "swap_over_plate": float(mean["swap"] / mean["plate"]),
        "swap_over_mean_face": float(mean["swap"] / mean["mean_face"]),
        "swap_over_reconstruction": float(mean["swap"] / mean["reconstruction"]),
        "transfer": float(mean["transfer"]),
        "residual": float(mean["residual"]),
        "ssim": float(mean["ssim"]),
        # by definition of transfer
        "plate": {"transfer": 0.0, "residual": 0.0, "ssim": float(mean["plate_ssim"])},
    }
    for name in ("reconstruction", "mean_face", "blurred_truth"):
        report[name] = {kind: float(mean[f"{name}_{kind}"]) for kind in ("transfer", "residual", "ssim")}
    return report
