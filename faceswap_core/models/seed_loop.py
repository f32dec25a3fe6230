"""the seeds' own training loop, rewritten from its description: the floor that ours is measured against.

Source: seeds 002 and 004. Faces are augmented one by one in float64 (turned, zoomed, shifted and flipped, then
warped by a 5x5 grid); two Adams share the encoder, both of which step it; a preview of 14 faces a side goes through
both decoders in every iteration. The network is that of `original` at full size without the alpha head's use.
"""

from __future__ import annotations

import time

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from faceswap_core.models.blocks import Down
from faceswap_core.types import F64, U8

CHIP, VIEW = 256, 64
_PREVIEWED = 14
_GRID_PX = np.linspace(128 - 80, 128 + 80, 5)


def random_transform(image: F64, rng: np.random.Generator) -> F64:
    """Turn by up to 10 degrees, zoom and shift by up to 5 %, mirror four in ten; (256, 256, 3) 0..1."""
    turn, zoom = rng.uniform(-10, 10), rng.uniform(0.95, 1.05)
    matrix: F64 = np.asarray(cv2.getRotationMatrix2D((CHIP // 2, CHIP // 2), turn, zoom), np.float64)
    matrix[:, 2] += rng.uniform(-0.05, 0.05, 2) * CHIP
    out: F64 = np.asarray(cv2.warpAffine(image, matrix, (CHIP, CHIP), borderMode=cv2.BORDER_REPLICATE), np.float64)
    return out[:, ::-1] if rng.random() < 0.4 else out


def random_warp(image: F64, rng: np.random.Generator) -> tuple[F64, F64]:
    """Warp by a disturbed grid; returns the warped view and its target, both (64, 64, 3)."""
    map_x = np.broadcast_to(_GRID_PX, (5, 5)) + rng.normal(0, 5, (5, 5))
    map_y = np.broadcast_to(_GRID_PX[:, None], (5, 5)) + rng.normal(0, 5, (5, 5))
    inner = slice(8, 72)
    fine_x, fine_y = (cv2.resize(m, (80, 80))[inner, inner].astype(np.float32) for m in (map_x, map_y))
    warped: F64 = np.asarray(cv2.remap(image, fine_x, fine_y, cv2.INTER_LINEAR), np.float64)
    source = np.stack([map_x.ravel(), map_y.ravel()], -1)
    rows, columns = np.mgrid[0 : VIEW + 1 : 16, 0 : VIEW + 1 : 16]
    matrix = _umeyama(source, np.stack([columns.ravel(), rows.ravel()], -1).astype(np.float64))
    return warped, np.asarray(cv2.warpAffine(image, matrix, (VIEW, VIEW)), np.float64)


def _umeyama(source: F64, target: F64) -> F64:
    """Similarity (2, 3) of least squares by a singular value decomposition (Umeyama 1991)."""
    mean_source, mean_target = source.mean(0), target.mean(0)
    centred, wanted = source - mean_source, target - mean_target
    u, values, v = np.linalg.svd(wanted.T @ centred / len(source))
    signs = np.array([1.0, np.sign(np.linalg.det(u) * np.linalg.det(v))])
    turn = u @ np.diag(signs) @ v
    scale = (values * signs).sum() / centred.var(0).sum()
    return np.hstack([scale * turn, (mean_target - scale * turn @ mean_source)[:, None]])


def seed_pairs(images: F64, rng: np.random.Generator, batch: int) -> tuple[Tensor, Tensor]:
    """A batch of warped views and targets (N, 3, 64, 64) float32, one image after another."""
    pairs = [random_warp(random_transform(images[i], rng), rng) for i in rng.integers(0, len(images), batch)]
    warped, target = (np.array(views) for views in zip(*pairs, strict=True))
    return _tensor(warped), _tensor(target)


def _tensor(views: F64) -> Tensor:
    return torch.from_numpy(views.transpose(0, 3, 1, 2).copy()).float()


class SeedUp(nn.Module):
    """Convolution, leaky ReLU, pixel shuffle."""

    def __init__(self, inputs: int, outputs: int) -> None:
        """Set channel counts."""
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs * 4, 3, padding=1)
        self.shuffle = nn.PixelShuffle(2)

    def forward(self, x: Tensor) -> Tensor:
        """Enlarge (N, C, H, W) to (N, C', 2H, 2W)."""
        out: Tensor = self.shuffle(nn.functional.leaky_relu(self.conv(x), 0.1))
        return out


class SeedLoop:
    """Two autoencoders with one encoder, 82.06 M parameters at width 128."""

    def __init__(self, images_a: U8, images_b: U8, *, width: int = 128, latent: int = 1024, batch: int = 64) -> None:
        """Take the faces (N, 256, 256, 3) of both sides; they are held as float64, as in the source."""
        self.sets = tuple(images / 255.0 for images in (images_a, images_b))
        self.batch, self.rng = batch, np.random.default_rng(0)
        w, deep = width, width * 8
        self.encoder = nn.Sequential(
            *(Down(3, w), Down(w, 2 * w), Down(2 * w, 4 * w), Down(4 * w, deep), nn.Flatten()),
            *(nn.Linear(deep * 16, latent), nn.Linear(latent, deep * 16), nn.Unflatten(1, (deep, 4, 4))),
            SeedUp(deep, 4 * w),
        )
        self.decoders = [
            nn.Sequential(
                *(SeedUp(4 * w, 2 * w), SeedUp(2 * w, w), SeedUp(w, w // 2)),
                *(nn.Conv2d(w // 2, 3, 5, padding=2), nn.Sigmoid()),
            )
            for _ in range(2)
        ]
        self.optimizers = [
            torch.optim.Adam([*self.encoder.parameters(), *decoder.parameters()], lr=5e-5, betas=(0.5, 0.999))
            for decoder in self.decoders
        ]

    def iterate(self) -> dict[str, float]:
        """One iteration; CPU seconds of all threads, in all and of augmentation and preview."""
        began = time.process_time()
        pairs = [seed_pairs(images, self.rng, self.batch) for images in self.sets]
        augmented = time.process_time()
        for optimizer in self.optimizers:
            optimizer.zero_grad()
        for decoder, (warped, target) in zip(self.decoders, pairs, strict=True):
            nn.functional.l1_loss(decoder(self.encoder(warped)), target).backward()  # type: ignore[no-untyped-call]
        for optimizer in self.optimizers:
            optimizer.step()
        stepped = time.process_time()
        for _, target in pairs:  # with the graph for gradients, as in the source
            for decoder in self.decoders:
                decoder(self.encoder(target[:_PREVIEWED]))
        ended = time.process_time()
        return {"all": ended - began, "augment": augmented - began, "preview": ended - stepped}
