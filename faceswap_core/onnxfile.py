"""ONNX file -> its model, before any runtime sees it: nothing that the file names is followed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from faceswap_core.errors import ModelMissingError


def read_onnx(path: Path, *, remedy: str) -> Any:
    """The ``onnx.ModelProto`` of a file that holds all of its weights itself.

    A file may name others (external data) by any path; runtimes open these. No network that is used here needs any.

    Raises:
        ModelMissingError: the file is no ONNX file, or names other files.
    """
    import onnx  # slow to import
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load(path, load_external_data=False)
    except (DecodeError, OSError, ValueError) as error:
        raise ModelMissingError(f"model file {path} cannot be loaded ({error}): {remedy}") from error
    for tensor in _tensors(model):
        if tensor.external_data or tensor.data_location == onnx.TensorProto.EXTERNAL:
            named = next((entry.value for entry in tensor.external_data if entry.key == "location"), "")
            raise ModelMissingError(
                f"model file {path} cannot be loaded (its tensor {tensor.name!r} lies in another file, {named!r}): "
                "save the network with its weights in one file"
            )
    return model


def _tensors(message: Any) -> Iterator[Any]:
    """Every tensor of a model, those of attributes, inner graphs and functions included."""
    if message.DESCRIPTOR.name == "TensorProto":
        yield message
        return
    for field, value in message.ListFields():
        if field.message_type is not None:
            for part in (value,) if hasattr(value, "DESCRIPTOR") else value:
                yield from _tensors(part)
