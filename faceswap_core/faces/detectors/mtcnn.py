"""frames -> boxes and five points: MTCNN in torch, with the weights of the ``mtcnn`` package.

Source: Zhang et al., "Joint Face Detection and Alignment using Multi-task Cascaded Convolutional Networks",
2016. The weights (MIT) are joblib files, that is pickles: they are loaded only after their sha256 was found right.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import joblib
import numpy as np
import torch
from torch import Tensor, nn

from faceswap_core.faces.detectors.record import Faces, no_faces
from faceswap_core.modelstore import locate
from faceswap_core.types import F32, F64, U8, Bool

_PYRAMID_FACTOR = 0.709
_REFINE_SHIFTS = ((0.0, 0.0, 1.0), (-0.06, 0.0, 1.0), (0.06, 0.0, 1.0), (0.0, -0.06, 1.0), (0.0, 0.06, 1.0))
"""Shift (share of the side) and scale of the crops whose points are averaged: one crop alone jitters."""
_CLIP_LIMIT, _TILES = 3.0, (8, 8)
"""Of the second look: found 19 of 20 faces that 216 frames of other actors than those of any benchmark hid."""


class _Cascade(nn.Module):
    """Convolutions with PReLU and max-pools, then linear heads; layers as in the weight files."""

    def __init__(
        self, name: str, channels: list[int], pools: list[tuple[int, bool]], heads: list[int], dense: int
    ) -> None:
        super().__init__()
        kernels = {"pnet": [3, 3, 3], "rnet": [3, 3, 2], "onet": [3, 3, 3, 2]}[name]
        layers: list[nn.Module] = []
        for index, (inputs, outputs) in enumerate(zip([3, *channels], channels, strict=False)):
            layers += [nn.Conv2d(inputs, outputs, kernels[index]), nn.PReLU(outputs)]
            if index < len(pools):
                size, ceil = pools[index]
                layers.append(nn.MaxPool2d(size, 2, ceil_mode=ceil))
        self.features = nn.Sequential(*layers)
        self.dense = nn.Sequential(nn.LazyLinear(dense), nn.PReLU(dense)) if dense else None
        last = dense or channels[-1]
        self.heads = nn.ModuleList(nn.Linear(last, n) if dense else nn.Conv2d(last, n, 1) for n in heads)

    def forward(self, image: Tensor) -> list[Tensor]:
        x = self.features(image)
        if self.dense is not None:
            x = self.dense(x.permute(0, 3, 2, 1).flatten(1))  # (N, C, H, W) -> (N, W*H*C), the files' order
        return [head(x) for head in self.heads]


_SHAPES: dict[str, tuple[list[int], list[tuple[int, bool]], list[int], int]] = {
    "pnet": ([10, 16, 32], [(2, True)], [4, 2], 0),
    "rnet": ([28, 48, 64], [(3, True), (3, False)], [4, 2], 128),
    "onet": ([32, 64, 64, 128], [(3, True), (3, False), (2, True)], [4, 10, 2], 256),
}
_INPUT = {"pnet": 12, "rnet": 24, "onet": 48}


@lru_cache(maxsize=3)
def _network(name: str) -> _Cascade:
    """The network with its checked weights."""
    arrays = [torch.from_numpy(a) for a in joblib.load(locate(f"mtcnn-{name}"))]
    network = _Cascade(name, *_SHAPES[name])
    with torch.no_grad():
        network(torch.zeros(1, 3, _INPUT[name], _INPUT[name]))
        for parameter, array in zip(network.parameters(), arrays, strict=True):
            parameter.copy_(_to_torch_order(array, parameter.shape))
    return network.eval().requires_grad_(False)


def _to_torch_order(array: Tensor, shape: torch.Size) -> Tensor:
    if array.ndim == 4:
        array = array.permute(3, 2, 0, 1)  # (H, W, in, out) -> (out, in, H, W)
    elif array.ndim == 2 and len(shape) == 2:
        array = array.T
    return array.reshape(shape)


def contrasted(image: U8) -> U8:
    """A frame (H, W, 3) RGB with its local contrast raised: dark skin in poor light is often missed as it is.

    Source: Zuiderveld, "Contrast Limited Adaptive Histogram Equalization", 1994, on the lightness of CIE Lab.
    """
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB)
    lab[..., 0] = cv2.createCLAHE(_CLIP_LIMIT, _TILES).apply(lab[..., 0])
    return np.asarray(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), np.uint8)


class MtcnnDetector:
    """Three-stage cascade; finds faces and the centres of eyes, nose and mouth corners."""

    name = "mtcnn"
    """Written into every detection."""

    def __init__(
        self,
        *,
        min_score: float = 0.9,
        min_face: float = 0.1,
        max_side: int = 640,
        refine: bool = True,
        contrast: bool = True,
    ) -> None:
        """Set thresholds.

        Args:
            min_score: lowest probability of a face that is kept.
            min_face: smallest face as a share of the frame's height.
            max_side: longer side, in pixels, to which a larger frame is reduced for the search.
            refine: whether points are steadied over several crops, which takes as long as a small search.
            contrast: whether a frame in which nothing is found is searched again with its local contrast raised.
        """
        self.min_score, self.min_face, self.max_side, self.refine = min_score, min_face, max_side, refine
        self.contrast = contrast
        for name in _SHAPES:
            _network(name)

    def detect(self, image: U8, *, follows: bool = False) -> Faces:
        """Find the faces of one frame (H, W, 3) RGB, whatever came before it; best score first."""
        return self.search(image, np.zeros((0, 4)))

    @torch.no_grad()
    def search(self, image: U8, known_xyxy: F64) -> Faces:
        """Find the faces of one frame (H, W, 3) RGB beside those that stand in known boxes (N, 4) px; best first."""
        if not image.size:
            return no_faces()
        scale = min(1.0, self.max_side / max(image.shape[:2]))
        small = _resized(image, scale) if scale < 1 else image
        # small px -> frame px, by pixel centres
        factor = np.array([image.shape[1] / small.shape[1], image.shape[0] / small.shape[0]])
        known = ((known_xyxy.reshape(-1, 2, 2) + 0.5) / factor - 0.5).reshape(-1, 4)
        boxes, scores, points = self._search(small, known)
        if self.contrast and not len(scores):
            boxes, scores, points = self._search(contrasted(small), known)
        boxes = (boxes.reshape(-1, 2, 2) + 0.5) * factor - 0.5
        points = (points + 0.5) * factor - 0.5
        order = np.argsort(-scores, kind="stable")
        return Faces(
            boxes_xyxy=boxes.reshape(-1, 4)[order].astype(np.float32),
            scores=scores[order].astype(np.float32),
            points5=points[order].astype(np.float32),
        )

    def _search(self, image: U8, known: F64) -> tuple[F64, F64, F64]:
        """Boxes (N, 4), scores (N,) and points (N, 5, 2) of a frame that was reduced, beside the known boxes."""
        pyramid = _halves(image)
        proposals = self._propose(image)
        boxes, _ = self._refine(pyramid, proposals[~_within(proposals, known)])
        return self._output(pyramid, boxes)

    def _propose(self, image: U8) -> F64:
        """Stage 1: windows of 12 px over a pyramid of sizes -> squares (N, 4)."""
        height, width = image.shape[:2]
        scale = _INPUT["pnet"] / max(12.0, self.min_face * height)
        found = []
        while min(height, width) * scale >= _INPUT["pnet"]:
            size_wh = (max(12, round(width * scale)), max(12, round(height * scale)))
            level = np.asarray(cv2.resize(image, size_wh, interpolation=cv2.INTER_AREA), np.uint8)
            offsets, logits = _network("pnet")(_to_input(level[None]))
            score = logits.softmax(1)[0, 1].numpy()
            rows, columns = np.nonzero(score > 0.6)
            corner = np.stack([columns, rows], 1) * 2.0
            boxes = np.hstack([corner, corner + 12]) + offsets[0].permute(1, 2, 0).numpy()[rows, columns] * 12
            ratio = np.tile([width / size_wh[0], height / size_wh[1]], 2)
            keep = suppress(boxes, score[rows, columns], 0.5)
            found.append(np.hstack([boxes * ratio, score[rows, columns][:, None]])[keep])
            scale *= _PYRAMID_FACTOR
        proposals = np.concatenate(found) if found else np.zeros((0, 5))
        keep = suppress(proposals[:, :4], proposals[:, 4], 0.7)
        return _squares(proposals[keep, :4])

    def _refine(self, pyramid: list[U8], boxes: F64) -> tuple[F64, F64]:
        """Stage 2: crops of 24 px -> fewer, better squares."""
        if not len(boxes):
            return boxes, np.zeros(0)
        offsets, logits = _network("rnet")(_to_input(_crops(pyramid, boxes, 24)))
        scores = logits.softmax(1)[:, 1].numpy().astype(np.float64)
        boxes = boxes + offsets.numpy() * _sides(boxes)
        keep = np.flatnonzero(scores > 0.7)
        keep = keep[suppress(boxes[keep], scores[keep], 0.7)]
        return _squares(boxes[keep]), scores[keep]

    def _output(self, pyramid: list[U8], boxes: F64) -> tuple[F64, F64, F64]:
        """Stage 3: crops of 48 px -> boxes, scores and points; refined: points once more on the final square."""
        if not len(boxes):
            return boxes, np.zeros(0), np.zeros((0, 5, 2))
        offsets, relative, logits = _network("onet")(_to_input(_crops(pyramid, boxes, 48)))
        scores = logits.softmax(1)[:, 1].numpy().astype(np.float64)
        points = _in_crops(relative, boxes)
        boxes = boxes + offsets.numpy() * _sides(boxes)
        keep = np.flatnonzero(scores > self.min_score)
        keep = keep[suppress(boxes[keep], scores[keep], 0.7, by_smaller=True)]
        if self.refine:
            refined = [self._points(pyramid, square) for square in _squares(boxes[keep])]
            return boxes[keep], scores[keep], np.array(refined).reshape(-1, 5, 2)
        return boxes[keep], scores[keep], points[keep]

    @staticmethod
    def _points(pyramid: list[U8], square: F64) -> F64:
        """Points (5, 2) of one face, averaged over slightly shifted crops."""
        side = square[2] - square[0]
        shifted = [_about(square, dx * side, dy * side, scale) for dx, dy, scale in _REFINE_SHIFTS]
        crops = np.array(shifted)
        _, relative, _ = _network("onet")(_to_input(_crops(pyramid, crops, 48)))
        points: F64 = _in_crops(relative, crops).mean(0)
        return points


def _in_crops(relative: Tensor, crops: F64) -> F64:
    """Points as shares of N crops -> px of the image, (N, 5, 2)."""
    xy = relative.numpy().astype(np.float64).reshape(-1, 2, 5).transpose(0, 2, 1)  # (N, 10) -> (N, 5, 2)
    points: F64 = crops[:, None, :2] + xy * _sides(crops)[:, None, :2] - 0.5
    return points


def _halves(image: U8) -> list[U8]:
    """The image and its successive halves, down to 48 px."""
    levels = [image]
    while min(levels[-1].shape[:2]) >= 96:
        levels.append(_resized(levels[-1], 0.5))
    return levels


def _resized(image: U8, scale: float) -> U8:
    size_wh = tuple(max(1, round(side * scale)) for side in image.shape[1::-1])  # explicit: cv2 then uses its ratio
    return np.asarray(cv2.resize(image, size_wh, interpolation=cv2.INTER_AREA), np.uint8)


def _crops(pyramid: list[U8], boxes: F64, size: int) -> U8:
    """Cut (N, 4) squares, edges in px, to (N, size, size, 3) with sub-pixel accuracy; black outside the image."""
    out = np.empty((len(boxes), size, size, 3), np.uint8)
    for crop, (x0, y0, x1, y1) in zip(out, boxes, strict=True):
        level = int(np.clip(np.floor(np.log2(max((x1 - x0) / size, 1.0))), 0, len(pyramid) - 1))
        image = pyramid[level]
        shrink = np.array([image.shape[1] / pyramid[0].shape[1], image.shape[0] / pyramid[0].shape[0]])
        scale = np.array([x1 - x0, y1 - y0]) * shrink / size
        origin = np.array([x0, y0]) * shrink + 0.5 * scale - 0.5
        matrix = np.array([[scale[0], 0, origin[0]], [0, scale[1], origin[1]]])
        cv2.warpAffine(image, matrix, (size, size), dst=crop, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    return out


def _to_input(images: U8) -> Tensor:
    """(N, H, W, 3) uint8 -> (N, 3, H, W) float32, about -1..1."""
    return (torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float() - 127.5) / 128


def _within(boxes: F64, known: F64) -> Bool:
    """Which of (N, 4) boxes have their centre in one of (M, 4) others: (N,)."""
    x, y = ((boxes[:, :2] + boxes[:, 2:]) / 2).T[..., None]
    left, top, right, bottom = known.T
    inside = (left <= x) & (x <= right) & (top <= y) & (y <= bottom)
    return np.asarray(np.any(inside, axis=1), np.bool_)


def _sides(boxes: F64) -> F64:
    """(N, 4) boxes -> (N, 4) width, height, width, height."""
    return np.tile(boxes[:, 2:] - boxes[:, :2], 2)


def _squares(boxes: F64) -> F64:
    """(N, 4) boxes -> squares of the longer side about the same centres."""
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = (boxes[:, 2:] - boxes[:, :2]).max(1, keepdims=True) / 2 if len(boxes) else np.zeros((0, 1))
    return np.hstack([centre - half, centre + half])


def _about(square: F64, dx: float, dy: float, scale: float) -> F64:
    centre = (square[:2] + square[2:]) / 2 + [dx, dy]
    half = (square[2:] - square[:2]) / 2 * scale
    return np.concatenate([centre - half, centre + half])


def suppress(boxes: F64, scores: F64 | F32, threshold: float, *, by_smaller: bool = False) -> list[int]:
    """Non-maximum suppression: indices of the boxes kept, best first.

    Args:
        boxes: (N, 4) x0, y0, x1, y1.
        scores: (N,).
        threshold: overlap above which the weaker box goes.
        by_smaller: measure the overlap by the smaller area instead of the union.
    """
    areas = np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0), axis=1)
    order, kept = np.argsort(-scores, kind="stable"), []
    while len(order):
        best, rest = order[0], order[1:]
        kept.append(int(best))
        low, high = np.maximum(boxes[best, :2], boxes[rest, :2]), np.minimum(boxes[best, 2:], boxes[rest, 2:])
        inter = np.prod(np.maximum(high - low, 0), axis=1)
        whole = np.minimum(areas[best], areas[rest]) if by_smaller else areas[best] + areas[rest] - inter
        order = rest[inter / np.maximum(whole, 1e-9) <= threshold]
    return kept
