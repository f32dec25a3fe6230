"""Patches, masks and frames to lay them over."""

import cv2
import numpy as np

from faceswap_core.faces.geometry import invert, similarity_matrix

SIDE = 48


def disc(side=SIDE, radius=0.4):
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    return np.where(np.hypot(x, y) < radius * side, 255, 0).astype(np.uint8)


def smooth_frame(height=160, width=200, seed=0):
    noise = np.random.default_rng(seed).random((height, width, 3)).astype(np.float32)
    return np.clip(cv2.GaussianBlur(noise, (0, 0), 5) * 4 - 1.5, 0, 1)


def frame_to_patch(x=60.0, y=50.0, size=80.0, degrees=10.0, side=SIDE):
    """Matrix frame px -> patch px of a turned square of ``size`` px about (x, y)."""
    turn = np.radians(degrees)
    scale = size / side
    a, b = scale * np.cos(turn), scale * np.sin(turn)
    middle = (side - 1) / 2
    return invert(similarity_matrix([a, b, x - a * middle + b * middle, y - b * middle - a * middle]))
