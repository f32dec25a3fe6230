"""performance -> sound: a voice-like tone that follows the mouth of the picture."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from faceswap_core.synth.performance import Moment

F64 = npt.NDArray[np.float64]

_HARMONICS = 24
_PEAK = 0.6
_BREATH_SEED = 7


def speech_audio(performance: Sequence[Moment], fps: float, sample_rate: int = 48000) -> npt.NDArray[np.float32]:
    """Speak along: loud while the jaw is open, vowels after jaw, lips and smile, pitch after the brows.

    Args:
        performance: The moments, one per frame.
        fps: Frames per second (an int, float or Fraction).
        sample_rate: Samples per second.

    Returns:
        Mono samples (round(len(performance) / fps * sample_rate),) in -0.6..0.6.
    """
    samples = round(len(performance) / fps * sample_rate)
    if samples == 0:
        return np.zeros(0, np.float32)
    time = np.arange(samples) / sample_rate
    jaw, smile, pucker, brow = (_track(performance, name, time, float(fps)) for name in _TRACKS)
    pitch = 118.0 * 2.0 ** (0.25 * brow + 0.12 * jaw + 0.03 * np.sin(2 * np.pi * 5.1 * time))
    formants = (300.0 + 520.0 * jaw, 1500.0 + 700.0 * smile - 800.0 * pucker, np.full(samples, 2600.0))
    voice = _voice(pitch, formants, sample_rate)
    breath = np.random.default_rng(_BREATH_SEED).standard_normal(samples)
    loudness = np.clip(jaw * 2.2, 0.0, 1.0) ** 0.8
    sound = loudness * (voice + 0.02 * breath)
    return (sound * (_PEAK / max(1e-9, float(np.abs(sound).max()), 0.05))).astype(np.float32)


_TRACKS = ("jaw", "smile", "pucker", "brow")


def _track(performance: Sequence[Moment], name: str, time: F64, fps: float) -> F64:
    """Interpolate one control of the expression from the frames' middles to the samples."""
    values = [float(getattr(moment.expression, name)) for moment in performance]
    return np.interp(time, (np.arange(len(values)) + 0.5) / fps, values)


def _voice(pitch: F64, formants: Sequence[F64], sample_rate: int) -> F64:
    """Add up the harmonics of the pitch, each as loud as the formants make it."""
    phase = 2 * np.pi * np.cumsum(pitch) / sample_rate
    sound = np.zeros_like(pitch)
    for number in range(1, _HARMONICS + 1):
        frequency = number * pitch
        gain = sum(
            weight / (1.0 + ((frequency - formant) / width) ** 2)
            for formant, width, weight in zip(formants, (90.0, 130.0, 220.0), (1.0, 0.55, 0.2), strict=True)
        )
        audible = frequency < sample_rate * 0.45
        sound += audible * (0.06 + gain) / number**0.7 * np.sin(number * phase)
    return sound
