"""seed -> Identity: everything about a procedural person that stays the same from frame to frame."""

from dataclasses import dataclass
from typing import Literal, cast, get_args

import numpy as np

HairStyle = Literal["short", "fringe", "receding", "bald", "long", "curly"]
Glasses = Literal["none", "round", "square"]


@dataclass(frozen=True)
class InnerFace:
    """The part of a face that a swap replaces: eyes, brows, nose, mouth and freckles.

    Angles are radians of azimuth (towards image right) and elevation (up), seen from the head's centre.
    """

    eye_x: float
    """Azimuth of the eye centres, +-; 0.33 to 0.40."""
    eye_y: float
    """Elevation of the eye centres; 0.05 to 0.12."""
    eye_width: float
    """Half width of the lid opening; 0.135 to 0.185."""
    eye_height: float
    """Height of the open upper lid over the corners; 0.058 to 0.1."""
    eye_tilt: float
    """Outer corner above (+) or below (-) the inner one, as a slope; -0.25 to 0.25."""
    eye_roundness: float
    """Exponent of the lid curve; 0.42 (almond, full) to 0.8 (narrow corners)."""
    iris: float
    """Place in the iris colour scale, dark brown to grey; 0 to 1."""
    brow_y: float
    """Height of the brow over the eye centre; 0.15 to 0.21."""
    brow_thickness: float
    """Half thickness of the brow; 0.014 to 0.042."""
    brow_arch: float
    """Bend of the brow; -0.3 (flat, hanging) to 1.2 (high arch)."""
    brow_tilt: float
    """Inner end high (+, worried) or low (-, stern); -0.3 to 0.3."""
    brow_tone: float
    """Brow colour relative to the hair; 0.1 (much darker) to 0.45."""
    nose_length: float
    """Shift of the nose tip, + is up (a short nose); -0.05 to 0.04."""
    nose_width: float
    """Width factor of tip and wings; 0.72 to 1.4."""
    nose_height: float
    """Projection factor; 0.7 to 1.22."""
    mouth_y: float
    """Elevation of the mouth line; -0.57 to -0.51."""
    mouth_width: float
    """Half width of the closed mouth; 0.22 to 0.32."""
    lip_upper: float
    """Thickness of the upper lip; 0.03 to 0.066."""
    lip_lower: float
    """Thickness of the lower lip; 0.042 to 0.088."""
    lip_red: float
    """Lip colour, skin-like to red; 0.4 to 1."""
    freckles: float
    """Freckle strength; 0 to 1."""


@dataclass(frozen=True)
class Outer:
    """What a swap keeps: skull, skin, ears, hair, beard, glasses and clothes."""

    head_width: float
    """Half width of the skull in head units (1 is about 11 cm); 0.72 to 0.81."""
    jaw_width: float
    """Width factor of the jaw; 0.85 to 1.15."""
    chin: float
    """Size factor of the chin; 0.8 to 1.25."""
    cheek: float
    """Prominence of the cheek bones; 0.3 to 1.4."""
    ear: float
    """Ear size factor; 0.75 to 1.25."""
    skin: float
    """Place in a six-stop skin scale, lightest to darkest; 0 to 1."""
    hair_style: HairStyle
    """Shape of the hair."""
    hair_tone: float
    """Place in the hair colour scale: black, browns, blond, red, grey; 0 to 1."""
    hair_line: float
    """Shift of the hair line, + is a higher forehead; -0.06 to 0.08."""
    hair_volume: float
    """Thickness factor of the hair; 0.7 to 1.3."""
    parting: float
    """Side of the parting; -0.5 to 0.5 head units."""
    beard: float
    """0 is clean-shaven, up to 0.5 stubble, above a full beard; 0 to 1."""
    glasses: Glasses
    """Shape of the glasses, or none."""
    clothes: float
    """Hue of the clothes; 0 to 1."""
    texture_seed: int
    """Seed of skin mottling and hair strands."""


@dataclass(frozen=True)
class Identity:
    """One procedural person."""

    inner: InnerFace
    """What a swap replaces."""
    outer: Outer
    """What a swap keeps."""


def identity(seed: int) -> Identity:
    """Draw the person of this seed; the same seed is always the same person."""
    rng = np.random.default_rng(seed)
    soft = float(rng.random())  # 0 heavy features, 1 soft ones: keeps jaw, beard, brows, lips in tune
    return Identity(inner=_draw_inner(rng, soft), outer=_draw_outer(rng, soft))


def swap_inner_face(a: Identity, b: Identity) -> Identity:
    """Return the ground truth of a swap: head, hair, skin, glasses, clothes of `a`, inner face of `b`."""
    return Identity(inner=b.inner, outer=a.outer)


def _draw_inner(rng: np.random.Generator, soft: float) -> InnerFace:
    def between(low: float, high: float) -> float:
        return float(rng.uniform(low, high))

    return InnerFace(
        eye_x=between(0.33, 0.40),
        eye_y=between(0.05, 0.12),
        eye_width=between(0.135, 0.185),
        eye_height=between(0.058, 0.100),
        eye_tilt=between(-0.25, 0.25),
        eye_roundness=between(0.42, 0.8),
        iris=between(0, 1),
        brow_y=between(0.15, 0.21),
        brow_thickness=between(0.022, 0.042) - 0.008 * soft,
        brow_arch=between(-0.3, 0.8) + 0.4 * soft,
        brow_tilt=between(-0.3, 0.3),
        brow_tone=between(0.10, 0.45),
        nose_length=between(-0.05, 0.04),
        nose_width=between(0.82, 1.4) - 0.1 * soft,
        nose_height=between(0.7, 1.22),
        mouth_y=between(-0.57, -0.51),
        mouth_width=between(0.22, 0.32),
        lip_upper=between(0.030, 0.056) + 0.01 * soft,
        lip_lower=between(0.042, 0.078) + 0.01 * soft,
        lip_red=between(0.4, 0.65) + 0.35 * soft,
        freckles=between(0, 1) ** 2,
    )


def _draw_outer(rng: np.random.Generator, soft: float) -> Outer:
    def between(low: float, high: float) -> float:
        return float(rng.uniform(low, high))

    chances = [0.05, 0.25, 0.02, 0.0, 0.5, 0.18] if soft > 0.5 else [0.36, 0.1, 0.18, 0.14, 0.06, 0.16]
    skin = between(0, 1)
    return Outer(
        head_width=between(0.72, 0.81),
        jaw_width=between(0.95, 1.15) - 0.1 * soft,
        chin=between(0.9, 1.25) - 0.1 * soft,
        cheek=between(0.3, 1.4),
        ear=between(0.75, 1.25),
        skin=skin,
        hair_style=cast(HairStyle, str(rng.choice(get_args(HairStyle), p=chances))),
        hair_tone=between(0, 1) ** (1.0 + 2.5 * skin),  # darker skin, darker hair (or grey)
        hair_line=between(-0.06, 0.08),
        hair_volume=between(0.7, 1.3),
        parting=between(-0.5, 0.5),
        beard=between(0, 1) if soft < 0.45 and rng.random() < 0.7 else 0.0,
        glasses=cast(Glasses, str(rng.choice(get_args(Glasses), p=[0.7, 0.15, 0.15]))),
        clothes=between(0, 1),
        texture_seed=int(rng.integers(1 << 30)),
    )
