"""chips of both sides -> batches: resident as uint8, drawn by the step's own random numbers."""

from __future__ import annotations

from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from faceswap_core.models.augment import Augmentation, chip_grids, plain_views, sample_pairs, sample_pairs_on
from faceswap_core.models.draws import draw_numbers
from faceswap_core.models.faces import Side
from faceswap_core.models.parallel import own_slice
from faceswap_core.models.views import finished
from faceswap_core.types import F32, F64, I64


@dataclass(frozen=True)
class Batch:
    """Views of both sides: input (N, 3, R, R) and target RGB, mask, eyes, mouth (N, 6, R, R), 0..1."""

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

    def to(self, device: torch.device, dtype: torch.dtype = torch.float32) -> Batch:
        """The batch on a device, channels last."""
        input_a, target_a, input_b, target_b = (
            t.to(device, dtype, non_blocking=True, memory_format=torch.channels_last) for t in self._views()
        )
        keep = None if self.keep is None else self.keep.to(device, dtype, non_blocking=True)
        return Batch(input_a, target_a, input_b, target_b, keep)

    def pinned(self) -> Batch:
        """The batch in memory that a GPU reads by itself."""
        input_a, target_a, input_b, target_b = (t.pin_memory() for t in self._views())
        return Batch(input_a, target_a, input_b, target_b, None if self.keep is None else self.keep.pin_memory())

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
    """Faces a side, of all processes together."""
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
    resident: tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]] | None = None
    """Colours and features of both sides' chips in the memory of the device that draws views; None: the CPU does."""
    pinned: bool = False
    """Whether batches drawn on the CPU lie in memory that a GPU reads by itself."""

    def draw(self, step: int) -> Batch:
        """Batch of one step; of several processes each draws its own part of it."""
        rng = np.random.default_rng([self.seed, step])
        input_a, target_a = self._views(self.a, self.b, rng)
        input_b, target_b = self._views(self.b, self.a, rng)
        batch = Batch(input_a, target_a, input_b, target_b, self._keep(rng))
        return batch.pinned() if self.pinned else batch

    def _keep(self, rng: np.random.Generator) -> Tensor | None:
        if not self.dropout:
            return None
        kept = rng.random((2, self.batch, self.latent)) >= self.dropout
        own = kept[:, own_slice(self.batch)].reshape(-1, self.latent)
        return torch.from_numpy((own / (1 - self.dropout)).astype(np.float32))

    def _views(self, side: Side, other: Side, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        own = draw_numbers(rng, side, other, self.batch, self.how).part(own_slice(self.batch))
        maps = (own.grids, own.similarity, own.flips)
        grids = chip_grids(maps, size=side.chips.side, coverage=self.coverage)
        if self.resident is None:
            colors, features = sample_pairs(side.chips, own.chosen, grids, self.resolution)
            views = torch.from_numpy(colors).permute(0, 3, 1, 2).float(), torch.from_numpy(features).float()
        else:
            chips = self.resident[0 if side is self.a else 1]
            chosen, places = (torch.from_numpy(x).to(chips[0].device, non_blocking=True) for x in (own.chosen, grids))
            views = sample_pairs_on(chips, chosen, places, self.resolution)
        return finished(*views, own)

    def batches(self, first: int, end: int) -> Generator[tuple[int, Batch]]:
        """Batches of steps first..end-1, one drawn ahead in a thread that leaves the other cores to the network."""
        with ThreadPoolExecutor(1, thread_name_prefix="augment") as pool:
            _keep_to_one_thread(pool)
            ahead: Future[Batch] | None = pool.submit(self.draw, first) if first < end else None
            for step in range(first, end):
                assert ahead is not None
                current = ahead.result()
                ahead = pool.submit(self.draw, step + 1) if step + 1 < end else None
                yield step, current

    def held_out(self, side: Side, most: int = 64) -> Tensor:
        """Undisturbed views (M, 6, R, R) of the held-out stretch, at most ``most`` evenly spread ones."""
        chosen = spread_over(len(side.held_out), most)
        views = plain_views(side.held_out.joined(chosen), resolution=self.resolution, coverage=self.coverage)
        return to_network(views, side.scale, side.shift)


def spread_over(count: int, most: int) -> I64:
    """At most ``most`` evenly spread ones of ``count``."""
    return np.unique(np.linspace(0, max(count - 1, 0), min(count, most)).round().astype(np.int64))


def to_network(views: F32, scale: F64, shift: F64) -> Tensor:
    """Views (N, R, R, C) 0..255 -> (N, C, R, R) 0..1 in the common colour space; what follows RGB is not recoloured."""
    colors = views[..., :3] * scale.astype(np.float32) + shift.astype(np.float32)
    full = np.concatenate([colors, views[..., 3:]], axis=-1) / np.float32(255)
    return torch.from_numpy(full).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)


def _keep_to_one_thread(pool: ThreadPoolExecutor) -> None:
    """Cap torch in the pool's thread; the number that torch remembers for threads to come is left as it was."""
    before = torch.get_num_threads()
    pool.submit(torch.set_num_threads, 1).result()
    torch.set_num_threads(before)
