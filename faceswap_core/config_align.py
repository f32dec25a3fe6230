"""The settings of face chips and of their masks, and the views that fill them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from faceswap_core.config_branch import Branch

VIEWS: dict[str, dict[str, float]] = {
    "inner": {"eye_distance": 0.5, "centre": 0.5},
    "face": {"eye_distance": 0.40, "centre": 0.45},
    "head": {"eye_distance": 0.23, "centre": 0.0},
}
"""What each view sets."""


class AlignSettings(Branch):
    """How faces are cut out."""

    size: int = Field(default=128, ge=64, le=1024, multiple_of=8)
    """Side of a chip in pixels."""
    view: Literal["inner", "face", "head"] = "face"
    """What the network sees. ``inner``: brows to chin. ``face``: with forehead and cheeks. ``head``: with hair, ears
    and neck. Fills ``eye_distance`` and ``centre``, which can be set beside it."""
    eye_distance: float = Field(default=0.40, gt=0.1, lt=0.9)
    """Distance of the eyes' centres as a share of the network's view (the chip's inner square)."""
    centre: float = Field(default=0.45, ge=-1, le=2)
    """Height of the view's centre below that of the eyes, in eye distances."""
    coverage: float = Field(default=0.625, gt=0.2, le=1)
    """Side of the network's view as a share of the chip's side; the rest is margin for augmentation."""
    fit: Literal["five", "dense"] = "five"
    """Points that a chip is placed by: eyes, nose and mouth corners, or the rigid ones of a mesh of 468, which needs a
    detector that gives them."""

    @model_validator(mode="before")
    @classmethod
    def _fill_from_view(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        return {**VIEWS.get(str(given.get("view", "face")), {}), **given}


class MaskSettings(Branch):
    """Which part of a face is swapped; another mask never cuts chips again."""

    hull: Literal["auto", "template"] = "auto"
    """``auto``: the oval of the face with its forehead where there are dense points, else the template. ``template``:
    an outline from the brows to the chin, bent to the five points."""
    erode_top: float = Field(default=0.0, ge=-1, le=1)
    """How far the mask is drawn in from above, in eye distances; negative lets it grow."""
    erode_bottom: float = Field(default=0.0, ge=-1, le=1)
    """The same from below."""
    erode_left: float = Field(default=0.0, ge=-1, le=1)
    """The same from the image's left."""
    erode_right: float = Field(default=0.0, ge=-1, le=1)
    """The same from the image's right."""
    feather: float = Field(default=0.0, ge=0, le=1)
    """Width of the mask's soft edge, in eye distances."""
    images: Literal["full", "oval"] = "full"
    """Mask of images that were given aligned: all of them, or the template's outline."""
