"""face chips -> who it is, by a small network that learned to read eyes, brows, nose and mouth off synthetic heads.

It gives the traits of the inner face, the part that a swap replaces. Heads, hair, skin, glasses, light, pose and
expression were drawn at random beside them, so that they do not count. It knows rendered actors alone.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.nn import functional

from faceswap_core.types import F32, F64, U8

SIDE = 48
"""Side of a chip in pixels."""
_WIDTHS = (24, 48, 64, 96)
_BATCH, _RATE = 64, 2e-3
_NOISE = 0.04
"""Standard deviation of the noise of training, in standard deviations of a chip."""


class IdentityNet(nn.Module):
    """Four convolutions that halve the side, and a layer to the traits."""

    def __init__(self, traits: int) -> None:
        """Shape it; `learned` draws its weights."""
        super().__init__()
        steps: list[nn.Module] = []
        for before, after in zip((3, *_WIDTHS), _WIDTHS, strict=False):
            steps += [nn.Conv2d(before, after, 3, 2, 1), nn.GroupNorm(8, after), nn.SiLU()]
        self.body = nn.Sequential(*steps)  # (N, 3, 48, 48) -> (N, 96, 3, 3)
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(_WIDTHS[-1] * 9, traits))

    def forward(self, chips: Tensor) -> Tensor:
        """(N, 3, 48, 48) -> (N, traits), each about 0 with a spread of 1 at most."""
        out: Tensor = self.head(self.body(chips))
        return out


def prepared(chips: U8) -> Tensor:
    """(N, 48, 48, 3) RGB -> (N, 3, 48, 48), each with its mean colour and its contrast taken out."""
    images = torch.from_numpy(np.ascontiguousarray(chips.transpose(0, 3, 1, 2))).float()
    images = images - images.mean((2, 3), keepdim=True)
    return images / (images.std((1, 2, 3), keepdim=True) + 1)


def learned(chips: U8, traits: F64, *, steps: int, seed: int) -> IdentityNet:
    """Learn to read traits (N, K) of mean 0 and deviation 1 off chips (N, 48, 48, 3); nothing is left to chance."""
    rng = torch.Generator().manual_seed(seed)
    network, aims = IdentityNet(traits.shape[1]), torch.from_numpy(traits).float()
    images = prepared(chips)
    _draw_weights(network, rng)
    optimizer = torch.optim.AdamW(network.parameters(), lr=_RATE, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        drawn = torch.randint(len(images), (_BATCH,), generator=rng)
        loss = functional.mse_loss(network(_varied(images[drawn], rng)), aims[drawn])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    return network.eval()


def _draw_weights(network: IdentityNet, rng: torch.Generator) -> None:
    """He et al. 2015, by a generator of our own: other threads draw from the one that all share."""
    for parameter in network.parameters():
        if parameter.dim() > 1:
            nn.init.kaiming_normal_(parameter, generator=rng)
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear) and layer.bias is not None:
            nn.init.zeros_(layer.bias)


def _varied(images: Tensor, rng: torch.Generator) -> Tensor:
    """Moved, turned and sized as a detector's points err, mirrored, blurred as a swap is, and noisy."""
    count = len(images)

    def between(low: float, high: float) -> Tensor:
        return torch.rand(count, generator=rng) * (high - low) + low

    turn, size = between(-0.06, 0.06), between(0.94, 1.06)
    flip = torch.where(torch.rand(count, generator=rng) < 0.5, -1.0, 1.0)
    rows = [size * turn.cos() * flip, -size * turn.sin(), between(-0.06, 0.06)]
    rows += [size * turn.sin() * flip, size * turn.cos(), between(-0.06, 0.06)]
    grid = functional.affine_grid(torch.stack(rows, 1).view(count, 2, 3), list(images.shape), align_corners=False)
    moved = functional.grid_sample(images, grid, padding_mode="border", align_corners=False)
    coarse = functional.interpolate(functional.avg_pool2d(moved, 2), size=images.shape[-1], mode="bilinear")
    share = between(0, 1).view(-1, 1, 1, 1)
    return moved + share * (coarse - moved) + _NOISE * torch.randn(moved.shape, generator=rng)


@torch.inference_mode()
def counted(network: IdentityNet, chips: U8, traits: F64) -> IdentityNet:
    """The network whose traits count by how well it reads them of people that it did not learn from.

    Each is multiplied by the share of its spread that is read. What is hardly read off a face tells of the head
    around it, and as loudly: a swap then seems to be the person whose head it is.

    Args:
        network: as `learned` gives it; changed.
        chips: (N, 48, 48, 3) of other people than it learned from.
        traits: (N, K) of theirs, normalised as those it learned.
    """
    missed = np.square(traits_of(network, chips) - traits).mean(0)
    shares = np.clip(1 - missed / np.maximum(np.square(traits).mean(0), 1e-9), 0, 1)
    for parameter in network.head.parameters():
        parameter.mul_(torch.from_numpy(shares).float().view(-1, *[1] * (parameter.dim() - 1)))
    return network


@torch.inference_mode()
def traits_of(network: IdentityNet, chips: U8) -> F32:
    """Traits (N, K) of chips (N, 48, 48, 3)."""
    return np.asarray(network(prepared(chips)).numpy(), np.float32)


def same_face_score(traits: F64, people: list[int]) -> float:
    """How often two pictures of one face are nearer to each other than two of different ones (area under the curve).

    Args:
        traits: (N, K).
        people: who each is; at least two pictures of some and two people.
    """
    apart = np.linalg.norm(traits[:, None] - traits[None], axis=-1)
    same = np.equal.outer(people, people)
    upper = np.triu(np.ones_like(same), 1)
    near, far = apart[same & upper], apart[~same & upper]
    order = np.searchsorted(np.sort(far), near, side="left")
    return float(1 - order.mean() / len(far))


def towards(made: F64, plate: F64, truth: F64) -> float:
    """How far the mean traits of a swap (N, K) went from the plate's to the truth's: 0 none of the way, 1 all of it."""
    way = truth.mean(0) - plate.mean(0)
    return float((made.mean(0) - plate.mean(0)) @ way / max(float(way @ way), 1e-12))


def as_bytes(network: IdentityNet) -> bytes:
    """The weights as safetensors."""
    data: bytes = save({name: value.contiguous() for name, value in network.state_dict().items()})
    return data


def read_network(path: Path) -> IdentityNet:
    """A network from the bytes that `as_bytes` gave."""
    weights = load(path.read_bytes())
    network = IdentityNet(len(weights["head.1.bias"]))
    network.load_state_dict(weights)
    return network.eval()
