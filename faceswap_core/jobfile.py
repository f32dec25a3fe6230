"""job file (TOML) + overrides -> checked JobSettings; every mistake named with what is accepted."""

from __future__ import annotations

import re
import reprlib
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from faceswap_core.config import JobSettings
from faceswap_core.config_branch import Branch
from faceswap_core.config_recode import RecodeSettings
from faceswap_core.config_scan import ScanSettings
from faceswap_core.errors import SettingsError
from faceswap_core.types import Json

Settings = TypeVar("Settings", bound=Branch)

MAX_JOB_BYTES = 256 * 1024
_KEY = r"""(?:[\w-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')"""
_DEEP_KEY = re.compile(rf"(?<![\w.\\-]){_KEY}(?:[ \t]*\.[ \t]*{_KEY}){{32}}")
"""A dotted key of more parts than any setting has; the parser's memory grows with the square of their number."""


def load_job(path: Path, overrides: Sequence[str] = (), *, folder: Path | None = None) -> JobSettings:
    """Read a job file, apply ``key.path=value`` overrides, check it, make its paths absolute.

    Args:
        path: the file.
        overrides: settings that count more than the file's.
        folder: what its paths are relative to; by default the folder it lies in.

    Raises:
        SettingsError: the file cannot be read, or a setting is unknown or out of range.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_JOB_BYTES + 1)
    except OSError as error:
        raise SettingsError(f"job file {path} cannot be read ({error}): give the path of a TOML file") from error
    folder = folder or path.absolute().parent
    return parse_job(data, overrides, source=f"job file {path}", folder=folder)


def parse_job(text: bytes, overrides: Sequence[str] = (), *, source: str, folder: Path) -> JobSettings:
    """Check the text of a job file, as `load_job` does.

    Args:
        text: what stands in it.
        overrides: settings that count more.
        source: what it is called in errors.
        folder: what its paths are relative to.

    Raises:
        SettingsError: it is no TOML, or a setting is unknown or out of range.
    """
    if len(text) > MAX_JOB_BYTES:
        raise SettingsError(f"{source} has more than {MAX_JOB_BYTES} bytes: make it smaller")
    try:
        decoded = text.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SettingsError(f"{source} cannot be read ({error}): give a TOML file") from error
    if _DEEP_KEY.search(decoded):
        raise SettingsError(f"{source} has a key of more than 32 parts: no setting lies so deep, remove it")
    try:
        data = tomllib.loads(decoded)
    except (ValueError, RecursionError) as error:  # beside TOMLDecodeError: a number of thousands of digits
        raise SettingsError(f"{source} is not valid TOML ({error}): mend it and try again") from error
    for override in overrides:
        _set_value(data, override)
    return parse(JobSettings, data, source=source).with_absolute_paths(folder)


def recode_settings(
    video: Path, output: Path, workspace: Path | str | None, overrides: Sequence[str]
) -> RecodeSettings:
    """Settings of a recoding; without a workspace it is the folder OUTPUT.work beside the output.

    Raises:
        SettingsError: an override is unknown or out of range.
    """
    output = output.expanduser().absolute()
    data: Json = {}
    for override in overrides:
        _set_value(data, override)
    if named := {"video", "output", "workspace"} & set(data):
        raise SettingsError(f"{sorted(named)} cannot be set: give IN, OUT and --workspace")
    data |= {"video": video.expanduser().absolute(), "output": output}
    data["workspace"] = _absolute(workspace or output.with_name(output.name + ".work"))
    return parse(RecodeSettings, data, source="recode")


def scan_settings(
    video: Path, backend: str | None, workspace: Path | str | None, overrides: Sequence[str]
) -> ScanSettings:
    """Settings of a scan; without a workspace it is the folder VIDEO.scan in the current one.

    Raises:
        SettingsError: an override is unknown or out of range.
    """
    data: Json = {}
    for override in overrides:
        _set_value(data, override)
    if named := {"video", "workspace"} & set(data):
        raise SettingsError(f"{sorted(named)} cannot be set: give VIDEO and --workspace")
    if backend is not None:
        _set_value(data, f'detect.backend="{backend}"')
    data["video"] = video.expanduser().absolute()
    data["workspace"] = _absolute(workspace or Path(video.name + ".scan"))
    settings = parse(ScanSettings, data, source="scan")
    detect = settings.detect.with_full_paths(lambda path: path.expanduser().absolute())
    return settings.model_copy(update={"detect": detect})


def _absolute(place: Path | str) -> Path | str:
    return place.expanduser().absolute() if isinstance(place, Path) else place


def parse(settings: type[Settings], data: Json, *, source: str) -> Settings:
    """Check parsed settings.

    Raises:
        SettingsError: naming each setting that is wrong, the value got and what is accepted.
    """
    try:
        return settings.model_validate(data)
    except ValidationError as error:
        lines = [_explain(item) for item in error.errors()]
        raise SettingsError(f"{source}: " + "; ".join(lines)) from error


def _explain(item: Any) -> str:
    where = ".".join(str(part) for part in item["loc"]) or "job"
    if item["type"] == "extra_forbidden":
        return f"unknown setting {where!r}: remove it or correct its name"
    if item["type"] == "missing":
        return f"{where!r} is missing: add it"
    if item["type"] == "too_short" and where == "subjects":
        return f"a swap needs two subjects, {item['ctx']['actual_length']} given: add [subjects.NAME]"
    got = item["input"] if isinstance(item["input"], str) else reprlib.repr(item["input"])
    return f"{where!r}: {item['msg']} (got {got[:80]!r})"


def _set_value(data: Json, override: str) -> None:
    key, equals, text = override.partition("=")
    parts = key.strip().split(".")
    if not equals or not all(re.fullmatch(r"[\w-]+", part) for part in parts):
        raise SettingsError(f"override {override!r} is not of the form key.path=value, such as train.iterations=500")
    branch = data
    for part in parts[:-1]:
        branch = branch.setdefault(part, {})
        if not isinstance(branch, dict):
            raise SettingsError(f"override {override!r}: {part!r} is a value, not a group of settings")
    branch[parts[-1]] = _toml_value(text.strip())


def _toml_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        return text
