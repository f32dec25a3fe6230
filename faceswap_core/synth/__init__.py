"""A procedural talking head with exact ground truth: pictures, masks, landmarks, sound, and the true swap.

It proves the pipeline (alignment, blending, colour, time order, resume); it says nothing about real faces.
"""

from faceswap_core.synth.actor import frames
from faceswap_core.synth.controls import Expression, Light, Occluder, Pose
from faceswap_core.synth.identity import Identity, InnerFace, Outer, identity, swap_inner_face
from faceswap_core.synth.performance import Moment, Performance, performance
from faceswap_core.synth.render import RenderedFrame, render
from faceswap_core.synth.speech import speech_audio

__all__ = [
    "Expression",
    "Identity",
    "InnerFace",
    "Light",
    "Moment",
    "Occluder",
    "Outer",
    "Performance",
    "Pose",
    "RenderedFrame",
    "frames",
    "identity",
    "performance",
    "render",
    "speech_audio",
    "swap_inner_face",
]
