"""losses and times of steps -> rows of the training log."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from faceswap_core.models.chips import Batch
from faceswap_core.models.parallel import averaged

ROW_EVERY = 100
"""Steps between rows of the log."""


@dataclass
class LogRow:
    """One line of the training log; what does not apply is None."""

    step: int
    """Steps done."""
    loss_a: float | None = None
    """Image loss of A, mean since the last row."""
    loss_b: float | None = None
    """The same of B."""
    validation_a: float | None = None
    """Masked L1 of A on held-out faces, averaged weights."""
    validation_b: float | None = None
    """The same of B."""
    cycle: float | None = None
    """Masked L1, of 1, between held-out A and A drawn as B and drawn back, averaged weights."""
    likeness: float | None = None
    """Masked L1, of 1, between held-out A drawn as B and the nearest face that B learns from, at 32 px."""
    landmarks: float | None = None
    """Distance of the swap's landmarks to A's, as a share of the eyes' distance, by the job's detector."""
    identity: float | None = None
    """Cosine of the swap's embedding to B's mean one, less that to A's, where the detector gives embeddings."""
    seconds: float = 0.0
    """Wall seconds since this process began to train."""
    cpu_seconds: float = 0.0
    """CPU seconds of all threads since then."""
    losses: dict[str, float] = field(default_factory=dict)
    """Every loss that the objective shows, by name, mean since the last row."""
    rate: float = 0.0
    """Step size of the next step."""
    samples_per_second: float | None = None
    """Faces of both sides a second since the last row."""
    data_wait_share: float | None = None
    """Share of the time since the last row that was spent waiting for batches."""
    peak_memory_bytes: int | None = None
    """Highest memory so far: of the GPU's allocations, or on a CPU of the process."""
    event: str | None = None
    """What happened, such as going back to a checkpoint."""

    @property
    def score(self) -> float | None:
        """How good the swap is as far as no truth can tell, less is better: cycle and likeness together."""
        return None if self.cycle is None or self.likeness is None else self.cycle + self.likeness


def is_pictured(step: int) -> bool:
    """True at 1, 2, 4, 8, ... times the steps between two rows of the log: when pictures are drawn."""
    rows, rest = divmod(step, ROW_EVERY)
    return rest == 0 and rows > 0 and rows & (rows - 1) == 0


def stale(log: list[LogRow]) -> int:
    """How many of the scores in a log came after the best."""
    scores = [row.score for row in log if row.score is not None]
    return len(scores) - 1 - scores.index(min(scores)) if scores else 0


class Meter:
    """Adds up losses and times; means are taken, and a GPU waited for, only once a row."""

    def __init__(self, batch: int, device: torch.device) -> None:
        """Begin; ``batch`` is the number of faces a side in a step."""
        self._faces, self._device = 2 * batch, device
        self._began, self._cpu_began = time.perf_counter(), time.process_time()
        self.steps, self.waited = 0, 0.0
        self.begin_row()

    def begin_row(self) -> None:
        """Forget the losses since the last row, and begin another."""
        self._sums: dict[str, Tensor] = {}
        self._count, self._row_waited, self._row_began = 0, 0.0, time.perf_counter()

    def wait_for(self, batches: Iterator[tuple[int, Batch]]) -> Batch:
        """Next batch, the wait for it measured."""
        before = time.perf_counter()
        _, batch = next(batches)
        waited = time.perf_counter() - before
        self.waited += waited
        self._row_waited += waited
        return batch

    def add(self, shown: dict[str, Tensor]) -> None:
        """Count one step."""
        for name, value in shown.items():
            self._sums[name] = self._sums[name] + value if name in self._sums else value.double()
        self._count += 1
        self.steps += 1

    def means(self) -> dict[str, float]:
        """Mean losses since the last row, over all processes."""
        if not self._sums:
            return {}
        values = averaged(torch.stack(list(self._sums.values())) / self._count).tolist()
        return dict(zip(self._sums, values, strict=True))

    def row(self, step: int, rate: float) -> LogRow:
        """Row of the steps since the last one; the next row begins."""
        means = self.means()
        spent = time.perf_counter() - self._row_began
        row = LogRow(
            step=step,
            loss_a=means.get("a"),
            loss_b=means.get("b"),
            seconds=self.seconds,
            cpu_seconds=time.process_time() - self._cpu_began,
            losses=means,
            rate=rate,
            samples_per_second=self._count * self._faces / spent,
            data_wait_share=self._row_waited / spent,
            peak_memory_bytes=peak_memory(self._device),
        )
        self.begin_row()
        return row

    @property
    def seconds(self) -> float:
        """Wall seconds since the beginning."""
        return time.perf_counter() - self._began

    @property
    def data_wait_share(self) -> float | None:
        """Share of all the time that was spent waiting for batches; None where nothing was trained."""
        return self.waited / self.seconds if self.steps else None

    @property
    def samples_per_second(self) -> float | None:
        """Faces of both sides a second over all the time; None where nothing was trained."""
        return self.steps * self._faces / self.seconds if self.steps else None


def peak_memory(device: torch.device) -> int:
    """Bytes: the most that torch has held on the GPU, or on a CPU the process' highest resident memory."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # Linux counts KiB
