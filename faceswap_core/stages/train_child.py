"""order file -> its part of a training: what each process started by torchrun does (see `train_processes`)."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import TextIO

import torch
import torch.distributed as dist

from faceswap_core.config import AlignSettings, DetectSettings, RuntimeSettings, TrainSettings
from faceswap_core.errors import FaceswapError
from faceswap_core.models.parallel import broadcast
from faceswap_core.stages.train import train_model
from faceswap_core.stages.weights import pick_device
from faceswap_core.storage import Workspace
from faceswap_core.types import Json

_HEARD_SECONDS = 10.0
"""Given to the words of an error, before the process ends and torchrun ends the others."""


def main() -> None:
    """Join the group, train, and tell the parent; one process of each machine speaks."""
    channel = _take_stdout()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    order = json.loads(Path(sys.argv[1]).read_text())
    speaks = os.environ["LOCAL_RANK"] == "0"
    try:
        result = _train(order, channel if speaks else None)
        if speaks:
            _send(channel, {"result": result})
    except FaceswapError as error:
        _send(channel, {"error": type(error).__name__, "message": str(error)})
        time.sleep(_HEARD_SECONDS)
        raise SystemExit(error.exit_code) from None
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()


def _train(order: Json, channel: TextIO | None) -> Json:
    runtime = RuntimeSettings.model_validate(order["runtime"])
    cuda = pick_device(runtime).type == "cuda"
    if cuda:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if cuda else "gloo")

    def tell(done: int, total: int, note: str) -> None:
        if channel is not None:
            _send(channel, {"told": [done, total, note]})

    trained = train_model(
        Workspace(order["workspace"]),
        order["side_a"],
        order["side_b"],
        order["stats"],
        (order["names"][0], order["names"][1]),
        TrainSettings.model_validate(order["settings"]),
        AlignSettings.model_validate(order["align"]),
        order["seed"],
        runtime,
        order["selection"],
        tell,
        order["consents"],
        DetectSettings.model_validate(order["detect"]) if order["detect"] else None,
    )
    return broadcast(dict(trained) if dist.get_rank() == 0 else {}, torch.device("cuda" if cuda else "cpu"))


def _take_stdout() -> TextIO:
    """The pipe to the parent; what libraries print goes to stderr instead."""
    channel = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)
    return channel


def _send(channel: TextIO, message: Json) -> None:
    channel.write(json.dumps(message) + "\n")
    channel.flush()


def _end_with_parent() -> None:
    while os.read(0, 1):
        pass
    os._exit(1)


if __name__ == "__main__":
    main()
