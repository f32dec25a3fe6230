import numpy as np
import pytest

from faceswap_core.errors import SettingsError
from faceswap_core.faces.filters import matching

COLUMNS = {
    "yaw": np.array([1.0, -2.0, np.nan, 4.0]),
    "subject": np.array(["x", "y", "x", "z"], object),
    "keep": np.array([True, False, True, True]),
    "frame_index": np.array([1, 2, 3, 4]),
}


@pytest.mark.parametrize(
    ("where", "rows"),
    [
        ("yaw < 3", [0, 1]),
        ("abs(yaw) >= 2", [1, 3]),
        ("not yaw < 3", [2, 3]),
        ("subject == 'x' and keep", [0, 2]),
        ("subject in ('y', 'z')", [1, 3]),
        ("subject not in ['y', 'z']", [0, 2]),
        ("-2 <= yaw < 4 or frame_index == 4", [0, 1, 3]),
        ("2 * frame_index + 1 > 5", [2, 3]),
        ("not keep", [1]),
        ("keep == True and frame_index / 2 != 2", [0, 2]),
        ("True", [0, 1, 2, 3]),
        ("  yaw > 100", []),
    ],
)
def test_expression_gives_its_rows(where, rows):
    assert np.flatnonzero(matching(where, COLUMNS)).tolist() == rows


@pytest.mark.parametrize(
    "where",
    [
        *(
            "",
            "yaw",
            "yaw <",
            "yaw + 1",
            "3",
            "yaw < 1; keep",
            "nose > 1",
            "yaw < 'x'",
            "subject < 'y'",
            "keep + 1 > 0",
        ),
        *("__import__('os').system('x')", "yaw.__class__ == 1", "(lambda: 1)() < 1", "yaw[0] < 1", "f'{yaw}' == 'x'"),
        *(
            "yaw < 9 ** 9 ** 9",
            "yaw < 1j",
            "yaw < 1 << 99",
            "subject * 9 == 'x'",
            "abs(yaw, 1) < 1",
            "[y for y in yaw]",
        ),
        *("yaw < " + "9" * 400, "(" * 300 + "yaw < 1" + ")" * 300, "not " * 60 + "keep", "-" * 500 + "yaw < 1"),
        *("yaw < 1" + " or yaw < 1" * 1000, "'x' in subject", "subject in 'xyz'", "yaw is None", "[y for y in yaw]"),
    ],
)
def test_whatever_else_is_refused_with_the_columns(where):
    with pytest.raises(SettingsError) as caught:
        matching(where, COLUMNS)
    assert caught.value.exit_code == 2
    assert len(str(caught.value)) < 600


def test_given_rows_are_not_handed_out():
    found = matching("keep", COLUMNS)
    found[:] = False
    assert COLUMNS["keep"].any()
