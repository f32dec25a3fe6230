"""seeds -> a rendered clip of a synthetic actor, as a task."""

from __future__ import annotations

from faceswap_core.stages import actor
from faceswap_core.stages.actor import ACTOR_VERSION, ActorClip, ActorSettings
from faceswap_core.storage import Workspace
from tasks import progress
from tasks.options import encoder_digests, stage_task

RENDER = "render-actor"


@stage_task(RENDER, ACTOR_VERSION, run_name="render-actor-{part}", digests=encoder_digests)
def render_actor(workspace: str, part: str, settings: ActorSettings) -> ActorClip:
    """Render one clip; ``part`` names it in the flow UI."""
    return actor.render_actor(Workspace(workspace), settings, progress.of(RENDER, part))
