"""a folder of ONNX files -> networks of the InsightFace library, guarded.

The library is given one file after the other and never the name of a pack, as it would go and download that. Files
whose networks are not used are not loaded (one of them makes the library unpickle a file). Everything is imported
late: the library takes about a second.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

from faceswap_core.errors import EnvironmentFault, ModelMissingError
from faceswap_core.modelstore import locate_pack
from faceswap_core.onnxfile import read_onnx

Task = Literal["detection", "landmarks", "recognition"]

LANDMARKS = 106
"""Points of the landmark network that is used."""
_REMEDY = "it is damaged or no network; fetch it again"


def load_pack(pack: str, device: str) -> dict[Task, Any]:
    """The networks of a pack by what they do; the first of each kind, by file name. ``detection`` is always there.

    Args:
        pack: path of its folder, or its name in the model store.
        device: ``cpu``, ``cuda`` or ``auto``.

    Raises:
        ModelMissingError: the pack is missing, altered, or holds a file that cannot be loaded or no detector.
        EnvironmentFault: the GPU was asked for and cannot be used.
    """
    files = locate_pack(pack)
    providers = providers_for(device)
    models: dict[Task, Any] = {}
    for path in files:
        task = _task_of(path)
        if task and task not in models:
            models[task] = _opened(path, providers)
    if "detection" not in models or not models["detection"].use_kps:
        raise ModelMissingError(
            f"model pack {pack!r} has no detector with five points among {', '.join(p.name for p in files)}: "
            "set detect.pack to an InsightFace pack for face analysis, such as buffalo_l"
        )
    return models


def providers_for(device: str) -> list[str]:
    """What ONNX Runtime shall run on, the first choice first.

    Raises:
        EnvironmentFault: ``cuda`` is asked for, and this ONNX Runtime or machine has none.
    """
    import torch

    onnxruntime = _onnxruntime()

    usable = "CUDAExecutionProvider" in onnxruntime.get_available_providers() and torch.cuda.is_available()
    if device == "cuda" and not usable:
        raise EnvironmentFault(
            "runtime.device is 'cuda', but ONNX Runtime cannot use a GPU here: install onnxruntime-gpu in place of "
            "onnxruntime, or set runtime.device to 'auto' or 'cpu'"
        )
    if device == "cpu" or not usable:
        return ["CPUExecutionProvider"]
    return ["CUDAExecutionProvider", "CPUExecutionProvider"]


def _onnxruntime() -> Any:
    """ONNX Runtime, told at its first import to send nothing home."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

    return onnxruntime


def _task_of(path: Path) -> Task | None:
    """What the network in a file does, by its inputs and outputs as the library tells them apart."""
    graph = read_onnx(path, remedy=_REMEDY).graph
    weights = {tensor.name for tensor in graph.initializer}
    shapes = [_shape(value) for value in graph.input if value.name not in weights]
    if not shapes or not graph.output:
        raise _corrupt(path, "it holds no network")
    if len(graph.output) >= 5:
        return "detection"
    if len(shapes) > 1 or len(shapes[0]) != 4 or len(graph.output) > 1:
        return None
    height, width = shapes[0][2:]
    if height == width == 192:
        return "landmarks" if _shape(graph.output[0])[-1:] == [2 * LANDMARKS] else None
    return "recognition" if height == width >= 112 and (height % 112 == 0 or height % 128 == 0) else None


def _shape(value: Any) -> list[int]:
    """Sizes of an input or output; 0 where a size is not fixed."""
    return [dimension.dim_value for dimension in value.type.tensor_type.shape.dim]


def _opened(path: Path, providers: list[str]) -> Any:
    """The library's object for one file, on one thread."""
    from insightface.model_zoo import get_model

    onnxruntime = _onnxruntime()
    faults = onnxruntime.capi.onnxruntime_pybind11_state
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        model = get_model(str(path), providers=providers, sess_options=options)
    except (
        faults.Fail,
        faults.InvalidArgument,
        faults.InvalidGraph,
        faults.InvalidProtobuf,
        faults.NotImplemented,
    ) as e:
        raise _corrupt(path, str(e)) from e
    found = model.session.get_providers()
    if found[0] != providers[0]:
        raise EnvironmentFault(
            f"ONNX Runtime could not start {providers[0]} and offers {found[0]}: see that its CUDA and cuDNN libraries "
            "are installed, or set runtime.device to 'cpu'"
        )
    return model


def _corrupt(path: Path, why: str) -> ModelMissingError:
    return ModelMissingError(f"model file {path} cannot be loaded ({why}): {_REMEDY}")
