import numpy as np
import pytest

from faceswap_core.video.light import transfer_of

CODES = np.linspace(0, 1, 257, dtype=np.float32)


@pytest.mark.parametrize("number", [1, 2, 6, 8, 13, 14, 16, 18])
def test_light_comes_back_as_the_code_it_was_and_grows_with_it(number):
    curves = transfer_of(number)
    light = curves.to_light(CODES)
    assert light.dtype == np.float32
    assert (np.diff(light) > 0).all()
    np.testing.assert_allclose(light[[0, -1]], [0, 1], atol=1e-4)
    np.testing.assert_allclose(curves.to_code(light), CODES, atol=2e-5)


@pytest.mark.parametrize(
    ("number", "code", "light"),
    [
        (1, 0.5, 0.5**2.4),  # ITU-R BT.1886
        (13, 0.5, 0.21404),  # IEC 61966-2-1
        (16, 0.5081, 0.01),  # ST 2084: 100 of 10 000 cd/m2
        (18, 0.5, 1 / 12),  # ARIB STD-B67
    ],
)
def test_curves_pass_through_the_points_of_their_standards(number, code, light):
    assert float(transfer_of(number).to_light(np.array([code], np.float32))[0]) == pytest.approx(light, rel=2e-3)
