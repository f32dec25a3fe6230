"""A training of 200 steps that waits to be killed once its checkpoint of step 120 is there."""

import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))

from conftest import make_sampler
from test_loop import fresh

from faceswap_core.models.checkpoint import Store
from faceswap_core.models.loop import train
from faceswap_core.types import no_progress


class Waiting(Store):
    def save(self, *arguments):
        super().save(*arguments)
        if arguments[2]["step"] == 120:
            time.sleep(600)


if __name__ == "__main__":
    torch.set_num_threads(1)
    store = Waiting(Path(sys.argv[1]))
    train(fresh(), make_sampler(), iterations=200, checkpoint_every=40, store=store, progress=no_progress)
