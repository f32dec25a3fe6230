import numpy as np
import pytest

from faceswap_core.config_quality import QualitySettings
from faceswap_core.quality.identity_net import SIDE
from faceswap_core.stages import judge_identity
from faceswap_core.stages.judge_identity import LEAST_RECOGNISED, identity_chip, train_identity_judge
from faceswap_core.storage import Workspace


def test_a_chip_shows_the_face_upright_and_as_large_wherever_it_is():
    picture = np.zeros((200, 300, 3), np.uint8)
    eyes = [(90.0, 80.0), (90.0, 120.0)]  # turned by a quarter: one above the other
    for x, y in eyes:
        picture[int(y) - 3 : int(y) + 4, int(x) - 3 : int(x) + 4] = 255
    turned = np.array([[90, 80], [90, 120], [70, 99], [46, 83], [46, 117]], np.float64)
    chip = identity_chip(picture, turned)
    assert chip.shape == (SIDE, SIDE, 3)
    bright = np.argwhere(chip[..., 0] > 128)
    left, right = (bright[(bright[:, 1] < SIDE / 2) == side].mean(0) for side in (True, False))
    np.testing.assert_allclose(right - left, [0, SIDE / 2], atol=2)


def test_a_small_training_is_the_same_again_and_tells_what_it_is_worth(tmp_path, monkeypatch):
    for name, value in {"_UNSEEN": 2, "_VIEWS": 2, "_STEPS": 4}.items():
        monkeypatch.setattr(judge_identity, name, value)
    one, other = (train_identity_judge(Workspace(tmp_path / name), 3, 0) for name in "ab")
    assert one == other
    monkeypatch.setattr(judge_identity, "_HELD_OUT", 3)
    assert train_identity_judge(Workspace(tmp_path / "c"), 3, 0)["weights"]["sha256"] != one["weights"]["sha256"]
    assert one["validation"]["people"] == 2
    assert 0 <= one["validation"]["recognised"] <= 1


@pytest.mark.release
def test_the_network_tells_unseen_actors_apart_by_their_faces_alone(tmp_path):
    validation = train_identity_judge(Workspace(tmp_path), QualitySettings().identity_heads, 0)["validation"]
    assert validation["recognised"] >= LEAST_RECOGNISED
    assert validation["same_face_score"] > 0.8
    assert validation["transfer"] > 0.5
