"""rows of a training -> what people look at: a time-lapse of pictures, event files for TensorBoard."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from faceswap_core.config import TrainSettings
from faceswap_core.models.chips import Sampler
from faceswap_core.models.loop import Trainer
from faceswap_core.models.meter import LogRow, is_pictured
from faceswap_core.models.parallel import place
from faceswap_core.models.preview import preview_views
from faceswap_core.stages.images import png
from faceswap_core.storage import atomic_path
from faceswap_core.types import U8

TIMELAPSE = "timelapse"
EVENTS = "tensorboard"


class Watch:
    """Keeps pictures at growing intervals, and event files where they are wanted, in a checkpoint folder."""

    def __init__(self, trainer: Trainer, sampler: Sampler, settings: TrainSettings, folder: Path) -> None:
        """Open the event file, where one is wanted; what it holds beyond the trainer's step is purged."""
        self._trainer, self._sampler, self._folder = trainer, sampler, folder
        self._timelapse = settings.timelapse
        self._writer = None
        if settings.tensorboard and place()[0] == 0:
            from torch.utils.tensorboard import SummaryWriter  # slow to import, and seldom wanted

            self._writer = SummaryWriter(str(folder / EVENTS), purge_step=trainer.step + 1)

    def __enter__(self) -> Self:
        """Watch until the block ends."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the event file."""
        if self._writer is not None:
            self._writer.close()

    def seen(self, row: LogRow) -> None:
        """Take one row of the log."""
        if place()[0] != 0:
            return
        due = row.event is None and is_pictured(row.step)
        picture = preview_picture(self._trainer, self._sampler) if due and (self._timelapse or self._writer) else None
        if picture is not None and self._timelapse:
            with atomic_path(self._folder / TIMELAPSE / f"step-{row.step:08d}.png") as temporary:
                temporary.write_bytes(png(picture))
        if self._writer is not None:
            for name, value in figures(row).items():
                self._writer.add_scalar(name, value, row.step)
            if row.event is not None:
                self._writer.add_text("event", row.event, row.step)
            if picture is not None:
                self._writer.add_image("preview", picture, row.step, dataformats="HWC")


def figures(row: LogRow) -> dict[str, float]:
    """What of a row is drawn as a curve, by name."""
    found = {f"loss/{name}": value for name, value in row.losses.items()}
    found |= {f"validation/{side}": getattr(row, f"validation_{side}") for side in "ab"}
    found |= {f"swap/{name}": getattr(row, name) for name in ("score", "cycle", "likeness", "landmarks", "identity")}
    names = ("rate", "samples_per_second", "data_wait_share", "peak_memory_bytes")
    found |= {f"run/{name}": getattr(row, name) for name in names}
    return {name: float(value) for name, value in found.items() if value is not None}


def preview_picture(trainer: Trainer, sampler: Sampler) -> U8:
    """The grid of `preview_views` as one picture (rows * R, 6 * R, 3)."""
    grid = preview_views(trainer, sampler)
    rows, columns, _, side, _ = grid.shape
    image = grid.permute(0, 3, 1, 4, 2).reshape(rows * side, columns * side, 3).numpy()
    return (image * 255).round().astype(np.uint8)
