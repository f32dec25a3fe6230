import numpy as np
import pytest

from faceswap_core.config_align import MaskSettings
from faceswap_core.faces.dense import _NUMBERS, EYES, LIPS, OVAL, RIGID_TEMPLATE
from faceswap_core.faces.geometry import apply, invert, template5, template_to_chip
from faceswap_core.faces.masks import face_mask, feature_map, outline

SIZE = 128
TO_CHIP = template_to_chip(SIZE, 0.47, 0.625, 0.45)


def masked(points, to_chip=TO_CHIP, size=SIZE, dense=None, **settings):
    """Mask of a face given by points in template units."""
    return face_mask(apply(to_chip, points), dense, to_chip, size, MaskSettings(**settings))


def turned(yaw):
    """Template points of a head turned so far that the nose is ``yaw`` eye distances off the middle."""
    points = template5()
    points[2, 0] += yaw
    return points


def inside(mask, template_points):
    x, y = np.round(apply(TO_CHIP, template_points)).astype(int).T
    return mask[y, x]


def test_mask_is_full_on_the_face_and_empty_at_the_border():
    mask = masked(template5())
    assert mask.shape == (SIZE, SIZE)
    assert mask.dtype == np.uint8
    assert (inside(mask, template5()) == 255).all(), "eyes, nose and mouth are swapped"
    border = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
    assert (border == 0).all()
    assert 0.15 < (mask > 127).mean() < 0.6


def test_mask_reaches_from_brows_to_chin():
    rows = np.flatnonzero((masked(template5()) > 127).any(1))
    top, bottom = (apply(invert(TO_CHIP), np.array([[0.0, row]]))[0, 1] for row in (rows[0], rows[-1]))
    assert -0.9 < top < -0.5  # the brows lie at about -0.45
    assert 1.3 < bottom < 1.7


def test_mask_of_the_middle_is_symmetric():
    points = template5()
    points[:, 0] = [-0.5, 0.5, 0, -0.4, 0.4]
    points[:, 1] = [0, 0, 0.57, 1.15, 1.15]
    mask = masked(points).astype(int)
    assert np.abs(mask - mask[:, ::-1]).mean() < 2


def test_edge_is_soft_to_less_than_a_pixel():
    mask = masked(template5())
    assert ((mask > 0) & (mask < 255)).sum() > 50


@pytest.mark.parametrize("yaw", [0.1, 0.25])
def test_mask_moves_against_the_nose_of_a_turned_head(yaw):
    def centre(points):
        return outline(points)[:, 0].mean()

    assert centre(turned(yaw)) < centre(turned(0)) < centre(turned(-yaw))


def test_outline_follows_the_width_of_the_face():
    narrow = template5() * [0.6, 1]
    assert np.ptp(outline(narrow)[:, 0]) == pytest.approx(0.6 * np.ptp(outline(template5())[:, 0]), rel=0.02)
    assert outline(template5()).shape == (64, 2)


def test_mask_scales_with_the_chip():
    small = masked(template5())
    large = masked(template5(), template_to_chip(2 * SIZE, 0.47, 0.625, 0.45), 2 * SIZE)
    halved = large.reshape(SIZE, 2, SIZE, 2).mean((1, 3))
    assert np.abs(halved - small).mean() < 2


def test_points_are_left_as_they_were():
    points = template5()
    masked(points)
    np.testing.assert_array_equal(points, template5())


@pytest.fixture
def mesh():
    """A mesh in chip px whose oval, eyes and lips are ellipses of known places."""
    points = np.zeros((468, 2))
    unit = TO_CHIP[0, 0]

    def ring(numbers, centre, wide, high):
        angle = np.linspace(0, 2 * np.pi, len(numbers), endpoint=False)
        points[list(numbers)] = centre + unit * np.stack([wide * np.cos(angle), high * np.sin(angle)], axis=1)

    left, right, *_ = apply(TO_CHIP, template5())
    ring(OVAL, apply(TO_CHIP, np.array([[0.0, 0.2]])), 1.0, 1.45)
    for numbers, place in zip(EYES, (left, right, left - [0, 0.3 * unit], right - [0, 0.3 * unit]), strict=True):
        ring(numbers, place, 0.2, 0.08)
    ring(LIPS, apply(TO_CHIP, template5())[3:].mean(0), 0.4, 0.15)
    return points


def test_mask_of_a_mesh_is_its_oval_with_the_forehead(mesh):
    def top(mask):
        return np.flatnonzero((mask > 127).any(1))[0]

    oval = masked(template5(), dense=mesh)
    assert abs((oval > 127).sum() - np.pi * 1.45 * TO_CHIP[0, 0] ** 2) < 0.03 * (oval > 127).sum()
    assert top(oval) < top(masked(template5())) - 5, "the forehead is inside"
    np.testing.assert_array_equal(masked(template5(), dense=mesh, hull="template"), masked(template5()))


def test_points_that_are_no_mesh_are_left_alone():
    np.testing.assert_array_equal(masked(template5(), dense=np.zeros((106, 2))), masked(template5()))


@pytest.mark.parametrize("amount", [0.2, -0.2])
@pytest.mark.parametrize("side", ["top", "bottom", "left", "right"])
def test_each_side_is_drawn_in_alone(side, amount):
    def edges(mask):
        rows, columns = (np.flatnonzero((mask > 127).any(axis)) for axis in (1, 0))
        return {"top": rows[0], "bottom": -rows[-1], "left": columns[0], "right": -columns[-1]}

    before, after = edges(masked(template5())), edges(masked(template5(), **{f"erode_{side}": amount}))
    for name in before:
        wanted = round(amount * TO_CHIP[0, 0]) if name == side else 0
        assert abs(after[name] - before[name] - wanted) <= 1, name


def test_feather_softens_the_edge_and_keeps_the_size():
    hard, soft = masked(template5()), masked(template5(), feather=0.3)
    assert ((soft > 5) & (soft < 250)).sum() > 4 * ((hard > 5) & (hard < 250)).sum()
    assert soft.mean() == pytest.approx(hard.mean(), rel=0.03)


def test_features_are_the_outlines_where_there_is_a_mesh(mesh):
    points = apply(TO_CHIP, template5())
    drawn = feature_map(points, mesh, TO_CHIP, SIZE)
    spots = feature_map(points, None, TO_CHIP, SIZE)
    assert drawn.shape == spots.shape == (SIZE, SIZE, 3)
    for features in (drawn, spots):
        x, y = points.round().astype(int).T
        assert (features[y[:2], x[:2], 0] > 180).all(), "red: eyes"
        assert features[y[3:].mean().astype(int), x[3:].mean().astype(int), 1] > 240, "green: mouth"
        assert features[..., 2].max() == 0
        assert features[y[2] + 3, x[2], 0] < 130, "the nose is neither"
    assert (drawn > 127).sum() < (spots > 127).sum(), "an outline is tighter than a spot"


def test_rigid_template_lies_on_the_five_points():
    eyes = [_NUMBERS.index(n) for n in (33, 133, 159, 145)]
    assert np.abs(RIGID_TEMPLATE[eyes].mean(0) - template5()[0]).max() < 0.1
