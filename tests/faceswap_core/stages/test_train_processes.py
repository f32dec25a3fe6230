"""A training in two processes of torchrun, as `runtime.processes = 2` asks for."""

import shutil

import numpy as np
import pytest

from faceswap_core import manifest
from faceswap_core.config import DetectSettings
from faceswap_core.errors import SettingsError
from faceswap_core.schemas import TRAIN_LOG
from faceswap_core.stages.train import train_model
from tests.faceswap_core.stages.conftest import RUNTIME, TRAIN


def trained(chain, plate, other, stats, processes, **changes):
    """What a training gives, its rows, and what it told on the way; its folder is gone afterwards."""
    told = []
    settings = TRAIN.model_copy(update={"checkpoint_every": 3, "iterations": 6, **changes})
    runtime = RUNTIME.model_copy(update={"processes": processes})
    made = train_model(
        *(chain.workspace, plate.aligned, other.aligned, stats, chain.names, settings, chain.align, 11, runtime),
        progress=lambda *words: told.append(words),
        detect=DetectSettings(backend="mtcnn"),
    )
    rows = list(manifest.stream(chain.workspace, made["log"], TRAIN_LOG))
    shutil.rmtree(chain.workspace.path(made["folder"]))
    return made, rows, told


def test_two_processes_train_and_judge_as_one(chain, plate, other, stats):
    alone, rows, _ = trained(chain, plate, other, stats, 1)
    both, same, told = trained(chain, plate, other, stats, 2)
    assert (both["steps"], both["drawn_step"]) == (alone["steps"], alone["drawn_step"])
    for name in ("loss_a", "loss_b", "validation_a", "cycle", "likeness"):
        np.testing.assert_allclose([row[name] for row in same], [row[name] for row in rows], rtol=1e-2, err_msg=name)
    assert [words[:2] for words in told] == [(3, 6), (6, 6)]


@pytest.mark.release
def test_both_end_where_no_checkpoint_is_better(chain, plate, other, stats):
    made, rows, _ = trained(chain, plate, other, stats, 2, iterations=60, patience=1, learning_rate=1e-12, ema=0.0)
    assert made["steps"] < 60
    assert rows[-1]["event"].startswith("1 checkpoints without a better score")


@pytest.mark.release
def test_what_they_refuse_is_said_by_the_parent(chain, plate, other, stats):
    with pytest.raises(SettingsError, match="leaves none"):
        trained(chain, plate, other, stats, 2, choose="best", validation_share=0.01)
