"""chips of both sides -> batches: resident as uint8, drawn by the step's own random numbers."""

from __future__ import annotations

from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from faceswap_core.models.augment import Augmentation, plain_views, random_light, sample_pairs
from faceswap_core.types import F32, F64, I64, U8


@dataclass(frozen=True)
class Side:
    """The faces of one person."""

    chips: U8
    """(N, S, S, 4) RGB and mask, 0..255."""
    held_out: U8
    """(M, S, S, 4) the stretch of time kept from training."""
    scale: F64
    """(3,) colours * scale + shift = the common colour space."""
    shift: F64
    """(3,)."""


@dataclass(frozen=True)
class Batch:
    """Views of both sides: input (N, 3, R, R) and target RGB + mask (N, 4, R, R), 0..1."""

    input_a: Tensor
    """Warped views of A."""
    target_a: Tensor
    """What D_A should make of them."""
    input_b: Tensor
    """Warped views of B."""
    target_b: Tensor
    """What D_B should make of them."""
    keep: Tensor | None
    """(2N, latent) factors of the dropout on the latent vectors, A first; None without dropout."""

    def to(self, device: torch.device) -> Batch:
        """The batch on a device, channels last."""
        input_a, target_a, input_b, target_b = (
            t.to(device, non_blocking=True, memory_format=torch.channels_last) for t in self._views()
        )
        keep = None if self.keep is None else self.keep.to(device, non_blocking=True)
        return Batch(input_a, target_a, input_b, target_b, keep)

    def parts(self, count: int) -> list[Batch]:
        """The batch in ``count`` equal parts, faces of both sides in each."""
        if count == 1:
            return [self]
        keeps: list[Tensor | None] = [None] * count
        if self.keep is not None:
            a, b = (half.chunk(count) for half in self.keep.chunk(2))
            keeps = [torch.cat(pair) for pair in zip(a, b, strict=True)]
        views = zip(*(t.chunk(count) for t in self._views()), strict=True)
        return [Batch(a, ta, b, tb, keep) for (a, ta, b, tb), keep in zip(views, keeps, strict=True)]

    def _views(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return self.input_a, self.target_a, self.input_b, self.target_b


def to_network(views: F32, scale: F64, shift: F64) -> Tensor:
    """Views (N, R, R, 4) 0..255 -> (N, 4, R, R) 0..1 in the common colour space; the mask is not recoloured."""
    colors = views[..., :3] * scale.astype(np.float32) + shift.astype(np.float32)
    full = np.concatenate([colors, views[..., 3:]], axis=-1) / np.float32(255)
    return torch.from_numpy(full).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)


@dataclass(frozen=True)
class Sampler:
    """Draws the batch of any step; the same step gives the same batch, whatever was drawn before."""

    a: Side
    """Person of the plate."""
    b: Side
    """Person whose face is drawn."""
    seed: int
    """Seed of the job."""
    batch: int
    """Faces a side."""
    resolution: int
    """Side of a view in pixels."""
    coverage: float
    """Side of the view as a share of the chip's side."""
    how: Augmentation
    """Amounts of random change."""
    latent: int = 0
    """Length of the latent vectors."""
    dropout: float = 0.0
    """Share of the latent vectors' entries that is set to zero."""

    def draw(self, step: int) -> Batch:
        """Batch of one step."""
        rng = np.random.default_rng([self.seed, step])
        input_a, target_a = self._side(self.a, rng)
        input_b, target_b = self._side(self.b, rng)
        return Batch(input_a, target_a, input_b, target_b, self._keep(rng))

    def _keep(self, rng: np.random.Generator) -> Tensor | None:
        if not self.dropout:
            return None
        kept = rng.random((2 * self.batch, self.latent)) >= self.dropout
        return torch.from_numpy((kept / (1 - self.dropout)).astype(np.float32))

    def _side(self, side: Side, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        chosen = rng.integers(0, len(side.chips), self.batch)
        warped, target = sample_pairs(
            side.chips[chosen], rng, self.how, resolution=self.resolution, coverage=self.coverage
        )
        inputs, targets = (to_network(views, side.scale, side.shift) for views in (warped, target))
        gain = torch.from_numpy(random_light(rng, self.batch, self.resolution, self.how)).permute(0, 3, 1, 2)
        targets[:, :3] *= gain
        targets[:, :3].clamp_(0, 1)  # what a sigmoid can reach
        return inputs[:, :3] * gain, targets

    def batches(self, first: int, end: int) -> Generator[tuple[int, Batch]]:
        """Batches of steps first..end-1, one drawn ahead in a thread."""
        with ThreadPoolExecutor(1, thread_name_prefix="augment") as pool:
            ahead: Future[Batch] | None = pool.submit(self.draw, first) if first < end else None
            for step in range(first, end):
                assert ahead is not None
                current = ahead.result()
                ahead = pool.submit(self.draw, step + 1) if step + 1 < end else None
                yield step, current

    def held_out(self, side: Side, most: int = 64) -> Tensor:
        """Undisturbed views (M, 4, R, R) of the held-out stretch, at most ``most`` evenly spread ones."""
        count = len(side.held_out)
        chosen: I64 = np.unique(np.linspace(0, max(count - 1, 0), min(count, most)).round().astype(np.int64))
        views = plain_views(side.held_out[chosen], resolution=self.resolution, coverage=self.coverage)
        return to_network(views, side.scale, side.shift)
