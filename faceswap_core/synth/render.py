"""Identity, expression, pose and light -> one frame with its exact masks and landmarks."""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from faceswap_core.synth import skin
from faceswap_core.synth.camera import Camera, camera, sphere_points
from faceswap_core.synth.controls import Expression, Light, Occluder, Pose
from faceswap_core.synth.features import jaw_shift, landmark_directions, soft_step
from faceswap_core.synth.glasses import paint_glasses
from faceswap_core.synth.head import Surface, look_up, surface
from faceswap_core.synth.identity import Identity
from faceswap_core.synth.march import Box, Hits, head_box, march
from faceswap_core.synth.paint import Canvas, paint_eye, paint_mouth
from faceswap_core.synth.scene import background, body_box, paint_body
from faceswap_core.synth.shade import head_light, tint

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
U8 = npt.NDArray[np.uint8]

_NEUTRAL, _FRONTAL, _DAYLIGHT = Expression(), Pose(), Light()


@dataclass(frozen=True, eq=False)
class RenderedFrame:
    """A picture and the truth about it. Pixel convention: (0, 0) is the centre of the top-left pixel."""

    rgb: U8
    """(H, W, 3) RGB."""
    face_mask: F32
    """(H, W) 0..1: visible skin of the face, forehead to jaw, eyes and mouth, without hair and occluder."""
    hair_mask: F32
    """(H, W) 0..1: visible hair of the head (no beard, no brows)."""
    occlusion_mask: F32
    """(H, W) 0..1: the occluder."""
    landmarks: F64
    """(68, 2) x, y pixels, iBUG order, also of hidden points and points outside of the frame."""
    landmark_visible: npt.NDArray[np.bool_]
    """(68,) in the frame and hidden by neither head, hair nor occluder."""


@dataclass(frozen=True, eq=False)
class _Head:
    """The shaded head in its window."""

    colour: F32  # (h, w, 3) linear RGB
    face: F32  # (h, w) 0..1
    hair: F32  # (h, w) 0..1


def render(
    person: Identity,
    expression: Expression = _NEUTRAL,
    pose: Pose = _FRONTAL,
    light: Light = _DAYLIGHT,
    *,
    width: int = 640,
    height: int = 360,
    face_px: float = 128,
    background_seed: int = 0,
    sensor_noise: float = 0.008,
    noise_seed: int = 0,
    occluder: Occluder | None = None,
) -> RenderedFrame:
    """Render one frame; the same arguments give the same bits, from any thread.

    Args:
        person: Who is seen.
        expression: What the face does.
        pose: Where the head is and how it is turned.
        light: Light on head and body; the background keeps its own.
        width: Columns of the frame.
        height: Rows of the frame.
        face_px: Height of the head, chin to crown, in pixels at `pose.scale` 1.
        background_seed: Seed of the still background picture.
        sensor_noise: Standard deviation of the noise, display values 0..1.
        noise_seed: Seed of the noise: give each frame its own.
        occluder: Something before the face, or nothing.
    """
    cam = camera(pose, width=width, height=height, face_px=face_px)
    shape = surface(person, expression)
    box = head_box(cam, float(shape.radius.max()) + 0.1, width=width, height=height)
    frame = background(background_seed, width, height).copy()
    masks = np.zeros((3, height, width), np.float32)  # face, hair, occlusion
    depth = np.full((height, width), np.inf, np.float32)
    if box.width and box.height:
        hits = march(shape.radius, cam, box)
        depth[box.window] = np.where(hits.alpha > 0.5, hits.depth, np.inf)
        head = _shade_head(person, expression, shape, hits, cam, light)
        _compose(frame, masks, box, head, hits, cam, person, pose, light)
    if occluder is not None:
        _occlude(frame, masks, occluder, light)
    landmarks, visible = _landmarks(person, expression, shape, cam, depth, masks)
    rgb = _add_noise(frame, sensor_noise, noise_seed)
    return RenderedFrame(rgb, masks[0], masks[1], masks[2], landmarks, visible)


def _shade_head(
    person: Identity, expression: Expression, shape: Surface, hits: Hits, cam: Camera, light: Light
) -> _Head:
    azimuth = np.arctan2(hits.x, hits.z)
    elevation = np.arctan2(hits.y, cv2.magnitude(hits.x, hits.z))
    rest = elevation + jaw_shift(person.inner, expression.jaw, azimuth, elevation).astype(np.float32)
    texels = look_up(skin.texture(person), azimuth, rest).astype(np.float32) * np.float32(1 / 255)  # type: ignore[arg-type]
    colour, hair = texels[..., :3] ** 2, texels[..., 3]
    gloss = 0.075 * (1.0 - hair)
    _paint_features(colour, gloss, hair, azimuth, elevation, person, expression, cam, hits)
    factor, skin_shine, hair_shine = head_light(hits, azimuth, elevation, shape, cam, light)
    shine = skin_shine * gloss + hair_shine * (0.05 * hair) * (0.4 + colour.mean(-1) * 3.0)
    colour = colour * factor + shine[..., None] * tint(light)
    region = soft_step(1.36 - np.abs(azimuth), 0.1) * soft_step(rest + 1.02, 0.1)
    face = hits.alpha * (1.0 - hair) * region
    return _Head(colour.astype(np.float32), face.astype(np.float32), hits.alpha * hair)


def _paint_features(
    colour: F32,
    gloss: F32,
    hair: F32,
    azimuth: F32,
    elevation: F32,
    person: Identity,
    expression: Expression,
    cam: Camera,
    hits: Hits,
) -> None:
    """Paint eyes and mouth, each in the smallest window that holds it, below the hair. In place."""
    soft = 1.6 / cam.pixels_per_unit
    inner = person.inner
    regions = (
        (1, inner.eye_x, inner.eye_y + 0.06, 0.25, 0.26),
        (-1, -inner.eye_x, inner.eye_y + 0.06, 0.25, 0.26),
        (0, 0.0, inner.mouth_y - 0.07, 0.42, 0.36),
    )
    for side, at, up, wide, high in regions:
        near = (np.abs(azimuth - at) < wide) & (np.abs(elevation - up) < high)
        left, top, columns, rows = cv2.boundingRect(near.view(np.uint8))
        if not columns or not rows:
            continue
        window = (slice(top, top + rows), slice(left, left + columns))
        bare = colour[window].copy()
        canvas = Canvas(bare, gloss[window], azimuth[window], elevation[window], soft)
        if side:
            paint_eye(canvas, person, expression, side)
        else:
            paint_mouth(canvas, person, expression)
        over = hair[window][..., None]
        colour[window] = bare * (1.0 - over) + colour[window] * over


def _compose(
    frame: U8,
    masks: F32,
    box: Box,
    head: _Head,
    hits: Hits,
    cam: Camera,
    person: Identity,
    pose: Pose,
    light: Light,
) -> None:
    """Put body, head and glasses onto the frame and fill the masks. In place."""
    height, width = frame.shape[:2]
    body = body_box(cam, width=width, height=height)
    left, top = min(box.left, body.left), min(box.top, body.top)
    right = max(box.left + box.width, body.left + body.width)
    bottom = max(box.top + box.height, body.top + body.height)
    whole = Box(left, top, right - left, bottom - top)
    linear = frame[whole.window].astype(np.float32) * np.float32(1 / 255)
    linear *= linear
    if body.width and body.height:
        shadow = _head_shadow(hits.alpha, box, body, cam, light)
        below = linear[_inside(body, whole)]
        masks[1][body.window] = paint_body(below, body, cam, person.outer, pose, light, shadow)
    seen = linear[_inside(box, whole)]
    alpha = hits.alpha[..., None]
    seen[...] = seen * (1.0 - alpha) + alpha * head.colour
    paint_glasses(seen, box, hits, cam, person.outer)
    masks[0][box.window] = head.face
    masks[1][box.window] = masks[1][box.window] * (1.0 - hits.alpha) + head.hair
    display = np.sqrt(np.clip(cv2.GaussianBlur(linear, (3, 3), 0.55), 0.0, 1.0)) * np.float32(255)
    frame[whole.window] = (display + np.float32(0.5)).astype(np.uint8)


def _inside(inner: Box, outer: Box) -> tuple[slice, slice]:
    top, left = inner.top - outer.top, inner.left - outer.left
    return slice(top, top + inner.height), slice(left, left + inner.width)


def _head_shadow(alpha: F32, box: Box, body: Box, cam: Camera, light: Light) -> F32:
    """Return the soft shadow of the head on the body's window: the outline, moved away from the light."""
    unit = cam.pixels_per_unit
    size = max(3, int(0.3 * unit))
    dark = cv2.blur(alpha, (size, size), borderType=cv2.BORDER_CONSTANT)
    x = box.left - body.left - 0.35 * np.sin(light.azimuth) * unit
    y = box.top - body.top + (0.12 + 0.35 * max(0.0, float(np.sin(light.elevation)))) * unit
    move = np.array([[1.0, 0.0, x], [0.0, 1.0, y]])
    return cv2.warpAffine(dark, move, (body.width, body.height), flags=cv2.INTER_LINEAR)  # type: ignore[return-value]


def _occlude(frame: U8, masks: F32, occluder: Occluder, light: Light) -> None:
    """Draw the occluder, cut it out of the other masks. In place."""
    center = (round(occluder.center_x * 16), round(occluder.center_y * 16))
    axes = (max(0, round(occluder.half_width * 16)), max(0, round(occluder.half_height * 16)))
    drawn = np.zeros(frame.shape[:2], np.uint8)
    cv2.ellipse(drawn, center, axes, occluder.angle_degrees, 0, 360, 255, -1, cv2.LINE_AA, 4)
    masks[2] = cv2.GaussianBlur(drawn, (0, 0), 0.7).astype(np.float32) / 255
    masks[:2] *= 1.0 - masks[2]
    colour = np.sqrt(np.array([0.03, 0.035, 0.04]) * (light.ambient + 0.6 * light.diffuse)) * 255
    weight = masks[2][..., None]
    frame[...] = (frame * (1.0 - weight) + weight * colour.astype(np.float32) + 0.5).astype(np.uint8)


def _landmarks(
    person: Identity, expression: Expression, shape: Surface, cam: Camera, depth: F32, masks: F32
) -> tuple[F64, npt.NDArray[np.bool_]]:
    """Project the landmarks from the skin; visible is what no nearer surface, hair or occluder hides."""
    azimuth, elevation = landmark_directions(person, expression).T
    table = shape.skin_radius
    radius = look_up(table, azimuth[None].astype(np.float32), elevation[None].astype(np.float32))[0]
    pixels, distance = cam.project(sphere_points(azimuth, elevation, radius.astype(np.float64)))
    height, width = depth.shape
    nearest = np.round(pixels).astype(int)
    in_frame = ((nearest >= 0) & (nearest < (width, height))).all(-1)
    column, row = np.clip(nearest, 0, (width - 1, height - 1)).T
    free = distance < depth[row, column] + 0.10
    free &= (masks[1][row, column] < 0.5) & (masks[2][row, column] < 0.5)
    return pixels, in_frame & free


@lru_cache(maxsize=1)
def _noise_bank() -> F32:
    return np.random.default_rng(20).standard_normal(1 << 20, dtype=np.float32)


def _add_noise(frame: U8, strength: float, seed: int) -> U8:
    """Add sensor noise: each row takes a stretch of one long noise, from a place that the seed draws."""
    if strength <= 0.0:
        return frame
    height, width = frame.shape[:2]
    bank = _noise_bank()
    stretches = np.lib.stride_tricks.sliding_window_view(bank, width * 3)
    places = np.random.default_rng(seed).integers(0, len(stretches), height)
    noise = stretches[places].reshape(frame.shape) * np.float32(strength * 255)
    return cv2.add(frame, noise, dtype=cv2.CV_8U)  # type: ignore[return-value]
