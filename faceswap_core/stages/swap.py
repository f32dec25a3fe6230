"""aligned faces + weights -> swapped: draw the other person's face from each chip of one chunk."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np

from faceswap_core import layout, manifest
from faceswap_core.config import AlignSettings, RuntimeSettings, SwapTarget
from faceswap_core.faces.geometry import chip_to_view, compose
from faceswap_core.manifest import Row
from faceswap_core.models.augment import plain_views
from faceswap_core.schemas import ALIGNED, SWAPPED
from faceswap_core.stages.images import pack, unpack
from faceswap_core.stages.weights import Swapper, check_view, pick_device
from faceswap_core.storage import Workspace
from faceswap_core.threads import cap_threads
from faceswap_core.types import F32, U8, FileRef, ManifestRef, Progress, no_progress


def swap_frames(
    workspace: Workspace,
    chunk_index: int,
    aligned: ManifestRef,
    weights: FileRef,
    direction: tuple[str, str],
    align: AlignSettings,
    settings: SwapTarget,
    runtime: RuntimeSettings,
    progress: Progress = no_progress,
) -> ManifestRef:
    """Swap every face of one chunk.

    The colours of the plate are brought to the network's common space and the result's back again.

    Args:
        workspace: where manifests are.
        chunk_index: number of the chunk.
        aligned: ALIGNED of the chunk.
        weights: trained weights.
        direction: subject of the plate, subject to draw.
        align: how the chips were cut; must be as in training.
        settings: faces a pass, and what counts as something before the face.
        runtime: device and threads.
        progress: told batch by batch.
    """
    cap_threads(runtime.threads)
    swapper = Swapper(workspace, weights, pick_device(runtime))
    check_view(swapper.facts, align)
    source, target = (swapper.facts.side_of(name) for name in direction)

    def rows() -> Iterator[Row]:
        faces = manifest.stream(workspace, aligned, ALIGNED, _COLUMNS)
        done = 0
        while group := list(islice(faces, settings.batch)):
            yield from _swap_group(swapper, group, (source, target), align, settings.occlusion)
            done += len(group)
            progress(done, aligned["rows"], "faces")

    return manifest.publish(workspace, layout.SWAPPED, layout.chunk_name("swapped", chunk_index), SWAPPED, rows())


_KEPT = ("frame_index", "face_index", "track_id", "shot", "to_edge")
_COLUMNS = [*_KEPT, "matrix", "chip"]


def _swap_group(
    swapper: Swapper, group: list[Row], direction: tuple[int, int], align: AlignSettings, occlusion: float
) -> Iterator[Row]:
    source, target = direction
    chips = np.stack([unpack(row["chip"]) for row in group])
    views = plain_views(chips, resolution=swapper.resolution, coverage=align.coverage)
    drawn, free = swapper.draw_around(views, source=source, target=target, occlusion=occlusion)
    covers = [None] * len(group) if free is None else [pack(one) for one in _rounded(free * 255)]
    back = swapper.facts.to_plate(source, target)
    colors = back.apply(drawn[..., :3])
    patches = _rounded(np.concatenate([colors, drawn[..., 3:]], axis=-1))
    to_view = chip_to_view(chips.shape[1], align.coverage, swapper.resolution)
    for row, patch, view, seen in zip(group, patches, _rounded(views), covers, strict=True):
        matrix = compose(to_view, np.array(row["matrix"]).reshape(2, 3))
        yield {k: row[k] for k in _KEPT} | {
            "patch": pack(patch),
            "view": pack(view),
            "matrix": matrix.ravel().tolist(),
            "free": seen,
        }


def _rounded(images: F32) -> U8:
    return np.clip(np.rint(images), 0, 255).astype(np.uint8)
