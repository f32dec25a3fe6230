"""images of one face -> numbers that judge a swap against its truth."""

from __future__ import annotations

import cv2
import numpy as np

from faceswap_core.types import F32, F64, U8, U16


def masked_l1(one: F32, other: F32, mask: F32) -> float:
    """Mean absolute difference inside a mask.

    Args:
        one: (H, W, 3) 0..1.
        other: (H, W, 3) 0..1.
        mask: (H, W) 0..1.
    """
    return float((np.abs(one - other) * mask[..., None]).sum() / max(float(mask.sum()) * 3, 1e-9))


def masked_ssim(one: F32, other: F32, mask: F32) -> float:
    """Structural similarity of luma inside a mask: 1 for equal images, about 0 where nothing agrees.

    Source: Wang et al. 2004, with their Gaussian window of 1.5 px.

    Args:
        one: (H, W, 3) 0..1, at least 11 px a side.
        other: (H, W, 3) 0..1.
        mask: (H, W) 0..1, weight of each pixel.
    """
    from skimage.metrics import structural_similarity  # slow to import, and for judging alone

    grey = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (one, other)]
    how = {"data_range": 1.0, "gaussian_weights": True, "use_sample_covariance": False, "full": True}
    _, similar = structural_similarity(*grey, **how)  # type: ignore[no-untyped-call]
    return float((similar * mask).sum() / max(float(mask.sum()), 1e-9))


def transfer_and_residual(made: F32, plate: F32, truth: F32, mask: F32) -> tuple[float, float]:
    """How far a swap went from the plate to the truth, and how much of it is neither.

    With d = truth - plate inside the mask: transfer = <made - plate, d> / <d, d>, 0 where the swap is still the
    plate and 1 where it is the truth; residual = |made - plate - transfer d| / |d|. A face with the wrong
    expression has transfer near 1 and residual above 1.

    Args:
        made: (H, W, 3) 0..1, the swap.
        plate: (H, W, 3) 0..1, the colour-normalised plate.
        truth: (H, W, 3) 0..1.
        mask: (H, W) 0..1, weight of each pixel.
    """
    root = np.sqrt(mask)[..., None]
    moved, wanted = (made - plate) * root, (truth - plate) * root
    square = max(float((wanted**2).sum()), 1e-12)
    transfer = float((moved * wanted).sum()) / square
    residual = float(np.sqrt(((moved - transfer * wanted) ** 2).sum() / square))
    return transfer, residual


def in_colours_of(image: F32, like: F32, mask: F32) -> F32:
    """An image (H, W, 3) shifted to the mean colour that another has under a mask (H, W) 0..1; not clipped."""
    shift = np.einsum("hwc,hw->c", like - image, mask) / max(float(mask.sum()), 1e-9)
    return np.asarray(image + shift.astype(np.float32), np.float32)


def landmark_nme(points: F64, reference: F64, face_size: float) -> float:
    """Normalised mean error: mean distance of points (N, 2) to their like (N, 2), px, as a share of ``face_size``.

    Source: the measure of face alignment since Dantone et al. 2012; ``face_size`` is the distance of the eyes here.
    """
    return float(np.linalg.norm(points - reference, axis=-1).mean() / max(face_size, 1e-9))


def sharpness(rgb: U8, mask: F32) -> float:
    """Variance of the Laplacian of luma inside a mask.

    Args:
        rgb: (H, W, 3).
        mask: (H, W) 0..1, weight of each pixel.
    """
    edges = cv2.Laplacian(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).astype(np.float32), cv2.CV_32F)
    total = max(float(mask.sum()), 1e-9)
    mean = float((edges * mask).sum()) / total
    return float(((edges - mean) ** 2 * mask).sum()) / total


def seam_ratio(made: U8, plate: U8, mask: F32, reach: float = 4.0) -> float:
    """Steepness across a mask's border in the finished frame, against that of the plate in the same place; 1: no seam.

    Mean length of the CIE L*a*b* gradient along the border's normal, over the ring of pixels nearer than ``reach``.

    Args:
        made: (H, W, 3) RGB.
        plate: (H, W, 3) RGB.
        mask: (H, W) 0..1, the mask by which the patch was laid in.
        reach: px.
    """
    inside = (mask > 0.5).astype(np.uint8)
    within, beyond = (cv2.distanceTransform(part, cv2.DIST_L2, 5) for part in (inside, 1 - inside))
    distance = np.asarray(within - beyond, np.float32)
    ring = np.abs(distance) < reach
    if not ring.any() or not inside.any():
        return 1.0
    normal = np.stack(_slopes(distance), axis=-1)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True) + 1e-6
    steep = [float(_across(image, normal)[ring].mean()) for image in (made, plate)]
    return steep[0] / max(steep[1], 1e-6)


def _across(rgb: U8, normal: F32) -> F32:
    lab = cv2.cvtColor(rgb.astype(np.float32) / np.float32(255), cv2.COLOR_RGB2LAB)
    dx, dy = _slopes(np.asarray(cv2.GaussianBlur(lab, (0, 0), 1.0), np.float32))
    along = dx * normal[..., :1] + dy * normal[..., 1:]
    return np.asarray(np.sqrt((along**2).sum(-1)), np.float32)


def _slopes(image: F32) -> tuple[F32, F32]:
    dx, dy = (cv2.Sobel(image, cv2.CV_32F, *order, scale=1 / 8) for order in ((1, 0), (0, 1)))
    return np.asarray(dx, np.float32), np.asarray(dy, np.float32)


def background_leak(made: U8 | U16, plate: U8 | U16, mask: F32 | U8, margin: int = 3) -> int:
    """Largest difference of a sample to the plate outside the mask, which is widened by ``margin`` px first.

    Args:
        made: (H, W) or (H, W, 3).
        plate: the same shape.
        mask: (H, W); anything above 0 is inside.
        margin: px; chroma is stored for blocks of pixels.
    """
    around = np.ones((2 * margin + 1, 2 * margin + 1), np.uint8)
    outside = cv2.dilate((mask > 0).astype(np.uint8), around) == 0
    differs = (made != plate) & (outside if made.ndim == 2 else outside[..., None])
    return int(np.abs(made[differs].astype(np.int64) - plate[differs]).max()) if differs.any() else 0
