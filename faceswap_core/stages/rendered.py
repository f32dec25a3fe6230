"""clip + the seeds it is said to be rendered from -> proof that it shows an actor of ours, or a refusal.

A frame that nobody can foresee is rendered again and compared: footage of a person cannot pass, whatever a record
claims. A clip that passed is remembered in the workspace by its digest and settings, as proving takes seconds.
"""

from __future__ import annotations

import hashlib
import json
import secrets

import numpy as np
from pydantic import ValidationError

from faceswap_core import layout
from faceswap_core.errors import ConsentError
from faceswap_core.stages.actor import ActorClip, ActorSettings
from faceswap_core.storage import Workspace, atomic_path
from faceswap_core.synth.actor import frames as render_frames
from faceswap_core.synth.identity import identity, swap_inner_face
from faceswap_core.synth.performance import performance
from faceswap_core.trust.consent import synthetic_record
from faceswap_core.trust.signed import Signed
from faceswap_core.types import FileRef, Json
from faceswap_core.video.glimpse import glimpse, reduced

_LARGEST_ERROR = 4.0
"""Mean absolute difference, of 255, of the two small pictures; encoding leaves less than 1, another seed over 10."""
_LONGEST = 100_000
"""Frames of a rendered clip, at most."""
_VERSION = 1
"""Raised when a proof asks for more than before."""


def actor_record(subject: str, clips: list[tuple[ActorSettings, ActorClip]]) -> Signed:
    """The consent record of one rendered actor."""
    seeds = {settings.identity for settings, _ in clips}
    if len(seeds) != 1:
        raise ConsentError(f"a record speaks for one actor, the clips show {sorted(seeds)}: make one record for each")
    rendered = {clip["video"]["sha256"]: settings.model_dump(mode="json") for settings, clip in clips}
    return synthetic_record(subject, seeds.pop(), rendered)


def prove_rendered(workspace: Workspace, video: FileRef, rendered: dict[str, Json], source: str) -> None:
    """Refuse a video that is not one of a record's rendered clips.

    Args:
        workspace: where what was proven is remembered.
        video: the video; its digest is that of its bytes.
        rendered: settings of the clips by their digest.
        source: the record, for messages.

    Raises:
        ConsentError: the record does not name it, or it shows something else than the settings do.
        MediaError: it cannot be read.
    """
    given = rendered.get(video["sha256"])
    if given is None:
        raise ConsentError(
            f"{source}: is the record of a rendered actor and does not name {video['path']} (sha256 "
            f"{video['sha256'][:12]}): give the person's own record, or the rendered clip unchanged"
        )
    try:
        settings = ActorSettings.model_validate(given)
    except ValidationError as error:
        raise ConsentError(f"{source}: its rendered clips have no valid settings; render the actor anew") from error
    if not (0 < settings.frames <= _LONGEST and settings.width * settings.height <= 3840 * 2160):
        raise ConsentError(f"{source}: no actor is rendered in such size or length; render the actor anew")
    proof = {"version": _VERSION, "video": video["sha256"], "settings": settings.model_dump(mode="json")}
    text = json.dumps(proof, sort_keys=True)
    remembered = workspace.root / layout.PROOFS / f"{hashlib.sha256(text.encode()).hexdigest()}.json"
    if remembered.is_file():
        return
    difference = _difference(video["path"], settings)
    if difference > _LARGEST_ERROR:
        raise ConsentError(
            f"{source}: {video['path']} is not what its seeds render (difference {difference:.1f} of 255, at most "
            f"{_LARGEST_ERROR}): only rendered actors need no consent; give the person's own record"
        )
    with atomic_path(remembered) as temporary:
        temporary.write_text(text)


def _difference(path: str, settings: ActorSettings) -> float:
    """How much a frame of the clip differs from what the settings render; the largest value for other lengths."""
    number = secrets.randbelow(settings.frames)
    seen = glimpse(path, number)
    if (seen.frames, seen.size_wh) != (settings.frames, (settings.width, settings.height)):
        return 255.0
    person = identity(settings.identity)
    if settings.inner_identity is not None:
        person = swap_inner_face(person, identity(settings.inner_identity))
    moments = performance(settings.frames, seed=settings.performance, fps=settings.fps, cuts=settings.cuts)
    drawn = next(
        iter(
            render_frames(
                person,
                moments[number : number + 1],
                width=settings.width,
                height=settings.height,
                face_px=settings.face,
                background_seed=settings.performance,
                noise_seed=settings.performance,
            )
        )
    )
    return float(np.abs(reduced(drawn.rgb).astype(np.float64) - seen.picture).mean())
