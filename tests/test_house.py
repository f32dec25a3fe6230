"""Rules of the house that no single module can keep alone."""

import ast
import importlib
import typing
from pathlib import Path

import pyarrow as pa
import pytest

from faceswap_core import errors, schemas
from faceswap_core.config import BlendSettings, DetectSettings, OutputSettings, TrainSettings
from faceswap_core.config_network import MODEL_DEFAULTS, LossName
from faceswap_core.errors import FaceswapError
from faceswap_core.faces.blenders import BLENDERS
from faceswap_core.faces.color_transfer import COLOR_TRANSFERS
from faceswap_core.faces.detectors import DETECTORS
from faceswap_core.models import MODELS
from faceswap_core.models.blocks import UPSAMPLERS
from faceswap_core.models.losses import LOSSES, NETWORK_LOSSES
from faceswap_core.stages.export_images import IMAGE_FORMATS

ROOT = Path(__file__).parents[1]
MODULES = sorted(p for top in ("faceswap_core", "flows", "tasks") for p in (ROOT / top).rglob("*.py"))
PRETRAINED = ROOT / "faceswap_core/faces/detectors/mtcnn.py"

FORBIDDEN_IMPORTS = {"pickle", "cPickle", "dill", "cloudpickle", "shelve", "marshal", "joblib"}
FORBIDDEN_CALLS = {"eval", "exec", "os.system", "os.popen", "torch.load", "pickle.load", "pickle.loads", "joblib.load"}
FORBIDDEN_CALLS |= {"torch.jit.load", "torch.export.load", "torch.hub.load"}
FORBIDDEN_METHODS = {"register_custom_ops_library"}


def imports_of(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def dotted(node):
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "?"


def is_true(node):
    return isinstance(node, ast.Constant) and bool(node.value)


def faults(source, *, joblib_allowed=False):
    """What a module does that no module may do."""
    tree = ast.parse(source)
    found = []
    for name in imports_of(tree):
        if name.split(".")[0] in FORBIDDEN_IMPORTS and not (joblib_allowed and name == "joblib"):
            found.append(f"imports {name}")
        if name in FORBIDDEN_CALLS:
            found.append(f"imports {name}")
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = dotted(node.func)
        if name in FORBIDDEN_CALLS and not (joblib_allowed and name == "joblib.load"):
            found.append(f"calls {name}")
        if name.rpartition(".")[2] in FORBIDDEN_METHODS:
            found.append(f"calls {name}")
        for keyword in node.keywords:
            if keyword.arg in ("shell", "allow_pickle") and not (
                isinstance(keyword.value, ast.Constant) and not keyword.value.value
            ):
                found.append(f"{name}({keyword.arg}=...)")
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_module_runs_what_it_reads(path):
    assert faults(path.read_text(), joblib_allowed=path == PRETRAINED) == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from pickle import loads",
        "import joblib",
        "from torch import load",
        "import torch\ntorch.load('x')",
        "from torch.export import load",
        "options.register_custom_ops_library('own.so')",
        "eval('1')",
        "exec('1')",
        "import os\nos.system('ls')",
        "from os import system",
        "import subprocess\nsubprocess.run('ls', shell=True)",
        "import numpy as np\nnp.load('x', allow_pickle=True)",
        "def f(x):\n    np.load('x', allow_pickle=x)",
    ],
)
def test_the_rule_sees_what_it_forbids(source):
    assert faults(source)


def test_weights_of_the_detector_are_located_before_they_are_loaded():
    tree = ast.parse(PRETRAINED.read_text())
    loads = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and dotted(n.func) == "joblib.load"]
    assert len(loads) == 1
    (argument,) = loads[0].args
    assert isinstance(argument, ast.Call)
    assert dotted(argument.func) == "locate"


@pytest.mark.parametrize("path", [p for p in MODULES if "faceswap_core" in p.parts], ids=lambda p: p.stem)
def test_core_does_not_know_prefect(path):
    names = {name.split(".")[0] for name in imports_of(ast.parse(path.read_text()))}
    assert names & {"prefect", "flows", "tasks"} == set()


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_module_with_code_says_what_it_does(path):
    text = path.read_text()
    assert not text.strip() or ast.get_docstring(ast.parse(text))


@pytest.mark.parametrize("path", sorted((ROOT / "benchmarks").glob("*.py")), ids=lambda p: p.stem)
def test_every_benchmark_finds_what_it_imports(path):
    importlib.import_module(f"benchmarks.{path.stem}")


def test_no_module_is_longer_than_300_lines():
    long = {str(p.relative_to(ROOT)): n for p in MODULES if (n := len(p.read_text().splitlines())) > 300}
    assert long == {}


def literal(settings, field):
    return set(typing.get_args(settings.model_fields[field].annotation))


def test_blenders_are_those_of_the_setting():
    assert set(BLENDERS) == literal(BlendSettings, "mode")


def test_colour_transfers_are_those_of_the_setting():
    assert set(COLOR_TRANSFERS) == literal(BlendSettings, "color")


def test_detectors_are_those_of_the_setting_and_the_truth():
    assert {*DETECTORS, "truth"} == literal(DetectSettings, "backend")


def test_image_formats_are_those_of_the_setting():
    assert set(IMAGE_FORMATS) == literal(OutputSettings, "format")


def test_every_kind_of_output_has_a_last_stage():
    from flows.chunks import LAST_STAGE

    assert set(LAST_STAGE) == literal(OutputSettings, "kind")


def test_networks_are_those_of_the_setting():
    assert set(MODELS) == literal(TrainSettings, "model_name") == set(MODEL_DEFAULTS)


def test_losses_are_those_of_the_setting():
    assert {*LOSSES, *NETWORK_LOSSES} == set(typing.get_args(LossName))
    assert not set(LOSSES) & set(NETWORK_LOSSES)


def test_ways_up_are_those_of_the_setting():
    assert set(UPSAMPLERS) == literal(TrainSettings, "upsample")


def test_schemas_have_names_of_their_own():
    found = {key: value for key, value in vars(schemas).items() if isinstance(value, pa.Schema)}
    names = [schemas.schema_name(schema) for schema in found.values()]
    assert len(set(names)) == len(names) >= 12
    for key, name in zip(found, names, strict=True):
        assert name.rpartition("/")[0] == key.lower().replace("_", "-")


def test_every_error_is_in_the_tree_drawn_above_it():
    classes = [v for v in vars(errors).values() if isinstance(v, type) and issubclass(v, FaceswapError)]
    assert len(classes) >= 10
    for error in classes:
        line = next(line for line in errors.__doc__.splitlines() if error.__name__ in line)
        number = int(line.split(error.__name__)[1].split()[0])
        assert error.exit_code == number, error
    assert [e.__name__ for e in classes if e.retryable] == ["ResourceError"]
