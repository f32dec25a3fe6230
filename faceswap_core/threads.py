"""Thread caps: small networks run several times faster on one thread than on many that fight for cores."""

from __future__ import annotations

import cv2
import torch


def cap_threads(threads: int) -> None:
    """Give torch ``threads`` threads in the calling thread, and OpenCV one in this process."""
    torch.set_num_threads(threads)
    cv2.setNumThreads(1)
