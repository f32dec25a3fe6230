"""the plate's face and the patch over it -> a patch with the plate's softness and grain.

Both are measured in the frame's own pixels, where the patch lies, under its weight: a chip has been resampled and
shows neither.
"""

from __future__ import annotations

import cv2
import numpy as np

from faceswap_core.types import F32, F64, Bool

_LUMA = np.array([[0.2126, 0.7152, 0.0722]], np.float32)  # ITU-R BT.709
_SURE = 0.5
"""Weight from which a pixel counts as covered."""
_FEWEST = 64
"""Pixels below which nothing is measured."""
_OCTAVES = 2
"""Grain is matched in the finest octave and the one below it, where compression leaves what it leaves."""
_COARSEST_GRAIN = 0.8
"""Most that the second octave may hold of what the first holds; more is texture of the face."""
_TO_SIGMA = 1.4826
"""Median absolute value -> standard deviation of a normal distribution."""
_BLURS = np.array([0.0, 0.5, 0.8, 1.2, 1.8, 2.7, 4.0])
"""Standard deviations tried, in px of the frame."""
_SCALES = (1.0, 3.0)
"""Standard deviations, in px, of the two blurs whose gradients are compared."""


def grain_sigmas(rgb: F32, weight: F32) -> F64:
    """Standard deviation of luma in each of the finest octaves, robustly: edges of the face hardly count.

    Args:
        rgb: (H, W, 3) 0..1.
        weight: (H, W) 0..1, how far a pixel is covered.

    Returns:
        (2,) of values 0..1; zeros where too little is covered.
    """
    found = np.zeros(_OCTAVES)
    for octave, band in enumerate(_bands(_luma(rgb))):
        sure = weight if octave == 0 else cv2.resize(weight, band.shape[1::-1], interpolation=cv2.INTER_AREA)
        covered = np.abs(band)[np.asarray(sure) >= _SURE]
        if covered.size >= _FEWEST:
            found[octave] = _TO_SIGMA * float(np.median(covered))
    found[1:] = np.minimum(found[1:], _COARSEST_GRAIN * found[0])
    return found


def _bands(luma: F32) -> list[F32]:
    """The finest octaves of an image, each at its own size; fewer where it is too small."""
    bands: list[F32] = []
    while len(bands) < _OCTAVES and min(luma.shape) >= 4:
        smaller = np.asarray(cv2.pyrDown(luma), np.float32)
        bands.append(np.asarray(luma - cv2.pyrUp(smaller, dstsize=luma.shape[1::-1]), np.float32))
        luma = smaller
    return bands


def with_grain(over: F32, rect: F32, weight: F32, *, strength: float, seed: tuple[int, ...]) -> F32:
    """Give a patch the grain of the frame that it lacks.

    Args:
        over: (H, W, 3) the patch in the frame's pixels, 0..1.
        rect: (H, W, 3) the frame, 0..1.
        weight: (H, W) 0..1.
        strength: share of what lacks.
        seed: numbers of frame and face: the noise is the same on every run, another in every frame.

    Returns:
        (H, W, 3) 0..1 and beyond.
    """
    lacking = np.maximum(grain_sigmas(rect, weight) ** 2 - grain_sigmas(over, weight) ** 2, 0)
    if not lacking.any():
        return over
    noise = _noise((over.shape[0], over.shape[1]), lacking, np.random.default_rng(seed))
    return over + np.float32(strength) * noise[..., None]


def _noise(shape_hw: tuple[int, int], variances: F64, rng: np.random.Generator) -> F32:
    """Luma noise (H, W) that shows these variances in its octaves."""
    height, width = shape_hw
    fine = rng.standard_normal((height, width), np.float32)
    half = rng.standard_normal((-(-height // 2), -(-width // 2)), np.float32)
    coarse = cv2.resize(half, (2 * half.shape[1], 2 * half.shape[0]), interpolation=cv2.INTER_CUBIC)[:height, :width]
    fields = (fine, np.asarray(coarse, np.float32))
    shown = np.array([[band.var() for band in _bands(field)] for field in fields]).T  # (octave, field)
    if shown.shape != (_OCTAVES, len(fields)):
        return np.zeros(shape_hw, np.float32)
    shares = np.linalg.solve(shown, variances)
    if shares.min() < 0:  # finer or coarser than any mix of both: one field alone, right in the finest octave
        shares = np.where(shares > 0, variances[0] / shown[0], 0.0)
    return np.asarray(sum(np.sqrt(share) * field for share, field in zip(shares, fields, strict=True)), np.float32)


def softened(over: F32, rect: F32, weight: F32, motion_xy: tuple[float, float], strength: float) -> F32:
    """Blur a patch that is sharper than the frame, along the face's motion and across it, each as far as it needs.

    Focus and compression soften both ways, motion blur one. Measured in both directions is fineness: the energy of
    gradients of the slightly blurred image, in which grain hardly counts, against that of the more blurred one.

    Args:
        over: (H, W, 3) the patch in the frame's pixels, 0..1.
        rect: (H, W, 3) the frame, 0..1.
        weight: (H, W) 0..1.
        motion_xy: motion of the face, px a frame.
        strength: share of the blur that is applied.

    Returns:
        (H, W, 3); the patch itself where it is no sharper.
    """
    sure = (weight >= _SURE).astype(np.float32)
    if int(sure.sum()) < _FEWEST:
        return over
    angle = float(np.arctan2(motion_xy[1], motion_xy[0]))
    wanted, had = (_turned(_luma(image), angle) for image in (rect, over))
    inside = _turned(sure, angle, cv2.BORDER_CONSTANT) > _SURE
    sigmas = [strength * _blur_needed(had, wanted, inside, axis) for axis in (0, 1)]
    return over if max(sigmas) == 0 else _blurred(over, sigmas, angle)


def _turned(image: F32, angle: float, border: int = cv2.BORDER_REPLICATE) -> F32:
    """An image (H, W) turned about its middle so that the direction ``angle``, in radians, becomes its x axis."""
    side = int(np.ceil(np.hypot(*image.shape)))
    middle = (image.shape[1] / 2, image.shape[0] / 2)
    matrix = np.asarray(cv2.getRotationMatrix2D(middle, float(np.degrees(angle)), 1), np.float64)
    matrix[:, 2] += (np.array([side, side]) - image.shape[::-1]) / 2
    turned = cv2.warpAffine(image, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=border)
    return np.asarray(turned, np.float32)


def _blur_needed(had: F32, wanted: F32, sure: Bool, axis: int) -> float:
    """Deviation, px, of the blur along x (0) or y (1) that leaves the patch as fine as the frame is."""
    goal = _fineness(wanted, sure, axis)
    left = [_fineness(_axis_blur(had, sigma, axis), sure, axis) for sigma in _BLURS]
    if left[0] <= goal:
        return 0.0
    return float(np.interp(-goal, -np.array(left), _BLURS))


def _fineness(luma: F32, sure: Bool, axis: int) -> float:
    """Energy of gradients along an axis after a slight blur, against that after a wider one along the same axis."""
    even = _axis_blur(luma, _SCALES[1], 1 - axis)  # what happens across is the same for both
    energies = []
    for sigma in _SCALES:
        blurred = _axis_blur(even, sigma, axis)
        slope = cv2.Sobel(blurred, cv2.CV_32F, 1 - axis, axis, scale=1 / 8)
        energies.append(float(np.mean(np.asarray(slope)[sure] ** 2)) if sure.any() else 0.0)
    return energies[0] / max(energies[1], 1e-12)


def _axis_blur(image: F32, sigma: float, axis: int) -> F32:
    if sigma == 0:
        return image
    size = 2 * int(np.ceil(3 * sigma)) + 1
    kernels = (cv2.getGaussianKernel(size, sigma), np.ones((1, 1)))
    return np.asarray(cv2.sepFilter2D(image, -1, kernels[axis], kernels[1 - axis]), np.float32)


def _blurred(image: F32, sigmas: list[float], angle: float) -> F32:
    """Blur by a Gaussian with these deviations along a direction and across it, px."""
    reach = int(np.ceil(3 * max(sigmas)))
    span = np.arange(-reach, reach + 1, dtype=np.float64)
    x, y = np.meshgrid(span, span)
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    exponent = (along / max(sigmas[0], 0.15)) ** 2 + (across / max(sigmas[1], 0.15)) ** 2
    kernel = np.exp(-0.5 * exponent)
    return np.asarray(cv2.filter2D(image, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REPLICATE), np.float32)


def _luma(rgb: F32) -> F32:
    return np.asarray(cv2.transform(rgb, _LUMA), np.float32)  # by OpenCV, as BLAS would start threads for it
