from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from faceswap_core.config import TrainSettings
from faceswap_core.models.augment import Augmentation
from faceswap_core.models.chips import Sampler
from faceswap_core.models.faces import Chips, Side
from faceswap_core.models.meter import LogRow, is_pictured
from faceswap_core.stages.images import unpack
from faceswap_core.stages.watch import EVENTS, TIMELAPSE, Watch, figures


class Drawn:
    """A trainer as far as it is watched: its network gives the views back, with an alpha channel."""

    step = 0
    device = "cpu"

    @staticmethod
    def ema(views, source, target):
        import torch

        return torch.cat([views, views[:, :1]], 1)


@pytest.fixture
def sampler():
    chips = np.random.default_rng(0).integers(0, 255, (6, 96, 96, 4), dtype=np.uint8)
    side = Side(Chips.of(chips), Chips.of(chips), np.ones(3), np.zeros(3))
    how = Augmentation(rotation=0, zoom=0, shift=0, flip=0, warp=0, light=0, color=0)
    return Sampler(side, side, seed=0, batch=2, resolution=64, coverage=0.625, how=how)


def test_pictures_are_due_at_growing_intervals():
    assert [step for step in range(1, 3300) if is_pictured(step)] == [100, 200, 400, 800, 1600, 3200]


def test_rows_become_pictures_and_curves(sampler, tmp_path: Path):
    settings = TrainSettings(tensorboard=True)
    with Watch(Drawn(), sampler, settings, tmp_path) as watch:
        watch.seen(LogRow(100, 0.2, 0.3, losses={"a": 0.2, "b": 0.3}, rate=1e-3, data_wait_share=0.25))
        watch.seen(LogRow(100, event="loss a is not finite at step 150: back to step 100"))
        watch.seen(LogRow(300, 0.1, 0.2, losses={"a": 0.1, "b": 0.2}))
    (picture,) = (tmp_path / TIMELAPSE).iterdir()
    assert picture.name == "step-00000100.png"
    assert unpack({"bytes": picture.read_bytes(), "path": None}).shape == (4 * 64, 6 * 64, 3)
    events = EventAccumulator(str(tmp_path / EVENTS)).Reload()
    assert [(e.step, round(e.value, 3)) for e in events.Scalars("loss/a")] == [(100, 0.2), (300, 0.1)]
    assert events.Scalars("run/data_wait_share")[0].value == 0.25
    assert events.Tags()["images"] == ["preview"]


def test_nothing_is_kept_where_nothing_is_wanted(sampler, tmp_path: Path):
    with Watch(Drawn(), sampler, TrainSettings(timelapse=False), tmp_path) as watch:
        watch.seen(LogRow(100, 0.2, 0.3))
    assert list(tmp_path.iterdir()) == []


def test_what_was_not_measured_is_no_curve():
    assert figures(LogRow(100, 0.1, 0.2)) == {"run/rate": 0.0}
