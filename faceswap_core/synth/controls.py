"""Expression, pose, light and occluder: everything about a frame that changes with time."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Expression:
    """What the face does. All zero is a neutral face with open eyes and a closed mouth."""

    jaw: float = 0.0
    """Opening of the mouth; 0 to 1."""
    smile: float = 0.0
    """Corners down (-) or up (+); -0.3 to 1."""
    pucker: float = 0.0
    """Rounded lips; 0 to 1."""
    blink_left: float = 0.0
    """Closing of the eye at image right (the person's left); 0 open to 1 closed."""
    blink_right: float = 0.0
    """Closing of the eye at image left (the person's right); 0 open to 1 closed."""
    brow: float = 0.0
    """Brows down (-) or up (+); -1 to 1."""
    gaze_x: float = 0.0
    """Gaze to image left (-) or right (+); -1 to 1."""
    gaze_y: float = 0.0
    """Gaze down (-) or up (+); -1 to 1."""


@dataclass(frozen=True)
class Pose:
    """Where the head is. All default is a frontal head at the frame's middle."""

    yaw: float = 0.0
    """Turn of the nose towards image right (+), radians; useful to +-0.9."""
    pitch: float = 0.0
    """Turn of the nose up (+), radians; useful to +-0.5."""
    roll: float = 0.0
    """Tilt of the head, counter-clockwise on the image (+), radians."""
    x: float = 0.0
    """Shift to image right, head units of face_px / 2.25 pixels (before scale)."""
    y: float = 0.0
    """Shift up, head units of face_px / 2.25 pixels (before scale)."""
    scale: float = 1.0
    """Factor on the head's size."""


@dataclass(frozen=True)
class Light:
    """One key light and a soft sky light."""

    azimuth: float = -0.5
    """Direction of the key light, + from image right, radians; -1.3 to 1.3."""
    elevation: float = 0.6
    """Height of the key light, radians; -0.3 to 1.3."""
    ambient: float = 0.42
    """Strength of the light from everywhere; 0.15 to 0.7."""
    diffuse: float = 0.75
    """Strength of the key light; 0.2 to 1."""
    warmth: float = 0.0
    """Blueish (-) to orange (+); -1 to 1."""


@dataclass(frozen=True)
class Occluder:
    """A dark ellipse (a microphone, say) held before the face. All in pixels of the frame."""

    center_x: float
    """Column of the middle."""
    center_y: float
    """Row of the middle."""
    half_width: float
    """Half axis along the ellipse's own x."""
    half_height: float
    """Half axis along the ellipse's own y."""
    angle_degrees: float = 0.0
    """Turn, clockwise on the image."""
