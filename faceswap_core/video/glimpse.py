"""unchecked video -> how many frames it has and a small picture of one, seen by a limited child."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from faceswap_core.errors import MediaError
from faceswap_core.types import U8, Json
from faceswap_core.video.colour import to_rgb
from faceswap_core.video.container import open_input, pick_video, read_only, to_the_damage
from faceswap_core.video.reader import decode_linear
from faceswap_core.video.sandbox import Tell, run_limited

GLIMPSE_WH = (160, 90)
"""Size of the picture, whatever the video's."""


@dataclass(frozen=True)
class Glimpse:
    """A first look at a video."""

    frames: int
    """Packets of its video stream."""
    size_wh: tuple[int, int]
    """Size of its frames in pixels."""
    picture: U8
    """(90, 160, 3) RGB, one frame reduced."""


def glimpse(path: str | Path, frame_index: int) -> Glimpse:
    """Look at one frame; beyond the last one it counts from the first again.

    Raises:
        MediaError: the file is no video, its frame cannot be decoded, or a limit was hit.
    """
    found = run_limited(child_glimpse, {"path": str(path), "frame_index": frame_index}, source=path)
    picture = np.frombuffer(bytes.fromhex(found["picture"]), np.uint8).reshape(*GLIMPSE_WH[::-1], 3)
    return Glimpse(found["frames"], (found["width"], found["height"]), picture)


def child_glimpse(arguments: Json, tell: Tell) -> Json:
    """The child's side of `glimpse`."""
    path = arguments["path"]
    cv2.setNumThreads(1)
    with open_input(path) as container:
        stream = pick_video(container, path)
        read_only(container, stream)
        frames = sum(bool(packet.size) for packet in to_the_damage(container.demux(stream)))
    wanted = arguments["frame_index"] % max(1, frames)
    for number, frame in enumerate(decode_linear(path)):
        if number == wanted:
            small = reduced(to_rgb(frame))
            return {"frames": frames, "width": frame.width, "height": frame.height, "picture": small.tobytes().hex()}
        tell(None)
    raise MediaError(f"{path}: has no frame {wanted} of {frames}; copy or export it again")


def crops(path: str | Path, frame_indices: list[int], rect_xywh: tuple[int, int, int, int]) -> list[U8]:
    """Luma, (h, w), of one rectangle in some frames; fewer where the video is shorter.

    Raises:
        MediaError: the file is no video, or a limit was hit.
    """
    arguments = {"path": str(path), "frames": frame_indices, "rect": list(rect_xywh)}
    found = run_limited(child_crops, arguments, source=path)
    shape = rect_xywh[3], rect_xywh[2]
    return [np.frombuffer(bytes.fromhex(text), np.uint8).reshape(shape) for text in found]


def child_crops(arguments: Json, tell: Tell) -> list[str]:
    """The child's side of `crops`."""
    wanted, (x, y, width, height) = set(arguments["frames"]), arguments["rect"]
    found: list[str] = []
    cv2.setNumThreads(1)
    for number, frame in enumerate(decode_linear(arguments["path"])):
        if number in wanted:
            part = np.ascontiguousarray(to_rgb(frame)[y : y + height, x : x + width])
            found.append(cv2.cvtColor(part, cv2.COLOR_RGB2GRAY).tobytes().hex())
        if number >= max(wanted, default=0):
            break
        tell(None)
    return found


def pictures(path: str | Path, frame_indices: list[int]) -> list[U8]:
    """Some frames, (H, W, 3) RGB; fewer where the video is shorter.

    Raises:
        MediaError: the file is no video, or a limit was hit.
    """
    found: list[U8] = []

    def take(told: Json | None) -> None:
        if told:
            found.append(np.frombuffer(bytes.fromhex(told["rgb"]), np.uint8).reshape(told["shape"]))

    run_limited(child_pictures, {"path": str(path), "frames": frame_indices}, source=path, told=take)
    return found


def child_pictures(arguments: Json, tell: Tell) -> None:
    """The child's side of `pictures`."""
    wanted = set(arguments["frames"])
    cv2.setNumThreads(1)
    for number, frame in enumerate(decode_linear(arguments["path"])):
        image = to_rgb(frame) if number in wanted else None
        tell(None if image is None else {"shape": list(image.shape), "rgb": image.tobytes().hex()})
        if number >= max(wanted, default=0):
            break


def reduced(image: U8) -> U8:
    """A picture at `GLIMPSE_WH`."""
    return np.asarray(cv2.resize(image, GLIMPSE_WH, interpolation=cv2.INTER_AREA), np.uint8)
