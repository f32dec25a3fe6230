import struct
import zlib

import cv2
import numpy as np
import pytest

from faceswap_core import manifest
from faceswap_core.config import AlignSettings, MaskSettings
from faceswap_core.errors import MediaError
from faceswap_core.faces.geometry import apply
from faceswap_core.schemas import ALIGNED, MASKS
from faceswap_core.stages.images import unpack
from faceswap_core.stages.import_images import image_refs, import_images
from faceswap_core.stages.masks import make_masks
from faceswap_core.storage import Workspace

ALIGN = AlignSettings(size=64)


def picture(height, width, seed=0):
    coarse = np.random.default_rng(seed).integers(0, 255, (4, 4, 3), dtype=np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


@pytest.fixture
def folder(tmp_path):
    """A tall PNG, a wide JPEG, a small grey PNG and a hidden file, not written in the order of their names."""
    place = tmp_path / "faces"
    place.mkdir()
    cv2.imwrite(str(place / "c.png"), picture(40, 40, 2)[..., 0])
    cv2.imwrite(str(place / "a.PNG"), cv2.cvtColor(picture(200, 100, 0), cv2.COLOR_RGB2BGR))
    cv2.imwrite(str(place / "b.jpg"), picture(90, 300, 1), [cv2.IMWRITE_JPEG_QUALITY, 95])
    (place / ".DS_Store").write_bytes(b"hidden")
    return place


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path / "ws")


def imported(workspace, folder):
    return import_images(workspace, image_refs(folder), "b", ALIGN)


def test_pictures_become_chips_in_the_order_of_their_names(workspace, folder):
    rows = list(manifest.stream(workspace, imported(workspace, folder), ALIGNED))
    assert [(r["frame_index"], r["size"], r["subject"]) for r in rows] == [(0, 100, "b"), (1, 90, "b"), (2, 40, "b")]
    for row in rows:
        assert unpack(row["chip"]).shape == (64, 64, 3)
        assert row["points5"] is None
        assert row["sharpness"] >= 0
        assert len(row["thumbnail"]) == 24 * 24
    assert len({r["video"] for r in rows}) == 1


def test_the_middle_square_is_shown_where_the_matrix_says(workspace, folder):
    first = next(manifest.stream(workspace, imported(workspace, folder), ALIGNED))
    corners = apply(np.array(first["matrix"]).reshape(2, 3), np.array([[-0.5, 49.5], [99.5, 149.5]]))
    np.testing.assert_allclose(corners, [[-0.5, -0.5], [63.5, 63.5]])
    wanted = cv2.resize(picture(200, 100, 0)[50:150], (64, 64), interpolation=cv2.INTER_AREA)
    assert np.abs(unpack(first["chip"]).astype(int) - wanted).max() <= 1


def test_their_mask_is_all_of_them_or_an_oval(workspace, folder):
    aligned = imported(workspace, folder)
    for images, share in (("full", (1, 1)), ("oval", (0.15, 0.7))):
        ref = make_masks(workspace, 0, aligned, ALIGN, MaskSettings(images=images))
        for row in manifest.stream(workspace, ref, MASKS):
            assert share[0] <= unpack(row["mask"]).mean() / 255 <= share[1]
            assert row["color_weight"] > 0


def whole_png():
    return bytearray(cv2.imencode(".png", picture(64, 64))[1].tobytes())


def png_of(width, height):
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [header, b"IDAT" + zlib.compress(b""), b"IEND"]
    body = b"".join(struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in chunks)
    return b"\x89PNG\r\n\x1a\n" + body


def damaged():
    data = whole_png()
    data[len(data) // 2] ^= 1
    return bytes(data)


def jpeg(share):
    data = cv2.imencode(".jpg", picture(64, 64))[1].tobytes()
    return data[: int(len(data) * share)]


HOSTILE = {
    "text.png": b"no picture",
    "empty.png": b"",
    "cut.png": bytes(whole_png()[:-20]),
    "damaged.png": damaged(),
    "cut.jpg": jpeg(0.8),
    "bomb.png": png_of(60000, 60000),
    "wide.png": cv2.imencode(".png", np.zeros((8200, 8200), np.uint8))[1].tobytes(),
    "endless.png": png_of(2**32 - 1, 2**32 - 1),
    "nothing.png": png_of(0, 0),
    "hollow.png": png_of(64, 64),
    "tiny.png": cv2.imencode(".png", picture(8, 8))[1].tobytes(),
    "marker.jpg": b"\xff\xd8\xff\xe0\x00\x00" * 50,
    "film.png": b"GIF89a" + bytes(100),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_by_name(workspace, folder, name):
    (folder / name).write_bytes(HOSTILE[name])
    with pytest.raises(MediaError, match=name) as caught:
        imported(workspace, folder)
    assert caught.value.exit_code == 4


@pytest.mark.parametrize("name", ["notes.txt", "film.mp4", "sub.png/"])
def test_what_is_no_picture_is_refused_by_name(folder, name):
    (folder / name).mkdir() if name.endswith("/") else (folder / name).write_text("x")
    with pytest.raises(MediaError, match=name.strip("/")):
        image_refs(folder)


def test_folder_without_pictures_is_refused(tmp_path):
    with pytest.raises(MediaError, match="no folder"):
        image_refs(tmp_path / "none")
    with pytest.raises(MediaError, match="no picture"):
        image_refs(tmp_path)


def test_picture_that_changed_meanwhile_is_refused(workspace, folder):
    refs = image_refs(folder)
    cv2.imwrite(str(folder / "c.png"), picture(41, 41, 3))
    with pytest.raises(MediaError, match=r"c\.png"):
        import_images(workspace, refs, "b", ALIGN)
