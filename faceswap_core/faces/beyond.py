"""patch + where the network drew its face -> the patch with its skin continued beyond that."""

from __future__ import annotations

import cv2
import numpy as np

from faceswap_core.types import F32, U8

_RIM = 4 / 64
"""Share of the side by which the drawn face is drawn in: its rim is mixed with hair and background."""
_NEAR, _FAR = 3 / 64, 8 / 64
"""Standard deviations, as shares of the side, of the two means that skin is continued by."""
_FAR_COUNTS, _ALL_COUNTS = 0.05, 0.002
"""Weights of the wider mean and of that of the whole face against the nearer one: for where that has nothing."""
_BRIGHT = 4
"""Power of luma by which a pixel counts as skin, so that brows and hair at the rim are not drawn out as streaks."""


def continued(patch_rgb: F32, drawn: U8) -> F32:
    """Skin in place of what the network left where it drew no face: colours that no loss ever looked at.

    Each pixel beyond the drawn face takes the mean of its bright pixels nearby (normalised convolution, Knutsson and
    Westin 1993), over a soft border; within it all stays.

    Args:
        patch_rgb: (S, S, 3) 0..1.
        drawn: (S, S) 0..255, the network's alpha. Where it is empty, the patch is returned.

    Returns:
        (S, S, 3) 0..1.
    """
    side = drawn.shape[0]
    inner = _inner(drawn)
    luma = cv2.cvtColor(patch_rgb, cv2.COLOR_RGB2GRAY)
    weight = inner * (luma**_BRIGHT + np.float32(1e-6))
    if not weight.any():
        return patch_rgb
    weighted = np.dstack([patch_rgb * weight[..., None], weight])  # (S, S, 4)
    near, far = (cv2.GaussianBlur(weighted, (0, 0), share * side) for share in (_NEAR, _FAR))
    total = near + np.float32(_FAR_COUNTS) * far + np.float32(_ALL_COUNTS) * weighted.mean((0, 1))
    skin = total[..., :3] / total[..., 3:]
    return np.asarray(skin + inner[..., None] * (patch_rgb - skin), np.float32)


def _inner(drawn: U8) -> F32:
    """The drawn face (S, S) 0..1 without its rim, softly; the border of the patch is no rim."""
    side = drawn.shape[0]
    reach = max(round(_RIM * side), 1)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    core = cv2.erode(drawn, kernel)  # beyond the image, cv2 takes what erodes nothing
    soft = cv2.GaussianBlur(core, (0, 0), max(side / 64, 0.3)).astype(np.float32) / np.float32(255)
    return np.asarray(soft * np.minimum(drawn / np.float32(127.5), 1), np.float32)
