"""identity, performance -> rendered frames, one after the other."""

from collections.abc import Iterator, Sequence

from faceswap_core.synth.identity import Identity
from faceswap_core.synth.performance import Moment
from faceswap_core.synth.render import RenderedFrame, render


def frames(
    person: Identity,
    performance: Sequence[Moment],
    *,
    width: int = 640,
    height: int = 360,
    face_px: float = 128,
    background_seed: int = 0,
    sensor_noise: float = 0.008,
    noise_seed: int = 0,
) -> Iterator[RenderedFrame]:
    """Render the performance of this person, lazily.

    Two calls that differ only in the person give the two sides of a ground truth: same motion, light,
    background and noise. See `synth.render.render` for the other arguments.

    Args:
        person: Who performs.
        performance: The moments, one per frame.
        width: Columns of a frame.
        height: Rows of a frame.
        face_px: Height of the head, chin to crown, in pixels at `pose.scale` 1.
        background_seed: Seed of the first shot's background; each further shot has its own.
        sensor_noise: Standard deviation of the noise, display values 0..1.
        noise_seed: Seed of the clip's noise; each frame gets its own.
    """
    for index, moment in enumerate(performance):
        yield render(
            person,
            moment.expression,
            moment.pose,
            moment.light,
            width=width,
            height=height,
            face_px=face_px,
            background_seed=background_seed + 7919 * moment.shot,
            sensor_noise=sensor_noise,
            noise_seed=noise_seed * 1_000_003 + index,
        )
