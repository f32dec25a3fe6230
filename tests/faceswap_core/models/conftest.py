import numpy as np
import pytest

from faceswap_core.models.augment import Augmentation
from faceswap_core.models.chips import Sampler
from faceswap_core.models.faces import Chips, Side


@pytest.fixture
def sampler():
    return make_sampler()


def make_sampler():
    """Faces made of soft noise: two sides of 10 and 12 chips, 3 held out each."""
    rng = np.random.default_rng(0)

    def side(count, shift):
        coarse = rng.integers(30, 220, (count + 3, 12, 12, 6), dtype=np.uint8)
        chips = np.kron(coarse, np.ones((1, 8, 8, 1), np.uint8))
        return Side(Chips.of(chips[:count]), Chips.of(chips[count:]), np.array([1.0, 0.9, 1.1]), np.full(3, shift))

    how = Augmentation(rotation=10, zoom=0.05, shift=0.05, flip=0.4, warp=0.03, light=0.2, color=0.1)
    return Sampler(
        side(10, 4.0), side(12, 0.0), seed=3, batch=4, resolution=64, coverage=0.625, how=how, latent=8, dropout=0.1
    )
