"""The only place with cache keys, retries and slots: what makes a function of a stage a task of a job."""

from __future__ import annotations

import errno
import hashlib
import importlib.metadata
import importlib.util
import inspect
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import cache, wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from prefect import Task, task
from prefect.cache_policies import CachePolicy
from prefect.client.schemas.objects import State, TaskRun
from prefect.context import FlowRunContext, TaskRunContext
from prefect.filesystems import LocalFileSystem
from prefect.utilities.callables import get_call_parameters
from pydantic import BaseModel

from faceswap_core.config import RuntimeSettings
from faceswap_core.errors import FaceswapError
from faceswap_core.faces.detectors import weight_files
from faceswap_core.faces.detectors.insight_pack import providers_for
from faceswap_core.stages.lineage import note_made
from faceswap_core.stages.weights import finished_weights, pick_device, resolve_precision
from faceswap_core.storage import Workspace
from faceswap_core.types import Json
from tasks import progress, relay, tally, worker
from tasks.records import PLAIN_JSON, Records, admit, promised_files, recorded_result, results_folder
from tasks.runners import runner_of

P = ParamSpec("P")
R = TypeVar("R")
Digests = Callable[[Mapping[str, Any]], Json]
"""Arguments of a task -> what else its result depends on."""

NEVER_COUNTED = frozenset({"workspace", "runtime", "limits", "progress", "consents", "signer"})
"""Arguments that say where, how fast and how far at most, and by whose leave, never what: a renewed consent record
computes nothing anew, and a revoked one is refused before any task is asked."""
_RETRY_DELAYS_SECONDS = [2.0, 5.0]
_gpu_slots: dict[str, threading.Lock] = {}


def no_digests(inputs: Mapping[str, Any]) -> Json:
    """Nothing but the arguments counts."""
    return {}


def detector_digests(inputs: Mapping[str, Any]) -> Json:
    """Digests of the detector's weights; where ONNX Runtime runs them, also on what."""
    settings = inputs["settings"]
    digests: Json = {file.name: file.sha256 for file in weight_files(settings)}
    if settings.backend == "insightface":
        digests["providers"] = providers_for(inputs["runtime"].device)
    return digests


def device_digests(inputs: Mapping[str, Any]) -> Json:
    """Kind of the device, and the arithmetic of training: networks round differently on each."""
    device = pick_device(inputs["runtime"])
    precision = getattr(inputs.get("settings"), "precision", None)
    return {"device": device.type, "precision": resolve_precision(precision, device) if precision else None}


def training_digests(inputs: Mapping[str, Any]) -> Json:
    """The same, and the weights that a training begins with."""
    first = inputs["settings"].start_from
    return {**device_digests(inputs), "start_from": finished_weights(first)["sha256"] if first else None}


_ENCODING_LIBRARIES = ("libx264*", "libx265*", "libSvtAv1*", "libvpx*", "libavcodec*", "libswscale*")


@cache
def _encoder_libraries() -> tuple[str, ...]:
    """PyAV's version and the names of the libraries that it brings along (auditwheel puts their digest there)."""
    spec = importlib.util.find_spec("av")
    folder = Path(str(spec.origin)).parents[1] / "av.libs" if spec else Path()
    names = sorted(p.name for pattern in _ENCODING_LIBRARIES for p in folder.glob(pattern))
    return (importlib.metadata.version("av"), *names)


def encoder_digests(inputs: Mapping[str, Any]) -> Json:
    """Versions of PyAV and of the encoders that it brings along, so that an upgrade encodes anew."""
    return {"encoder": list(_encoder_libraries())}


class StageKey(CachePolicy):
    """Key over a stage, its version and the content of its arguments; paths never count, digests do.

    Before Prefect looks a record up under the key, the record is judged; a bad one is removed (`tasks.records`).
    """

    def __init__(self, stage: str, version: int, digests: Digests = no_digests) -> None:
        """Name the stage and the version of its output; ``digests`` gives what the arguments do not show."""
        super().__init__()
        self.stage = stage
        self.version = version
        self.digests = digests
        self.line: relay.Line | None = None

    def __getstate__(self) -> Json:
        """A task that goes to another process takes the way back to its run along."""
        return {**self.__dict__, "line": relay.current()}

    def compute_key(
        self,
        task_ctx: TaskRunContext | None,
        inputs: dict[str, Any],
        flow_parameters: dict[str, Any],
        **kwargs: Any,
    ) -> str | None:
        """Name of the record; None, and so no caching, where a bad record cannot be removed."""
        worker.follow(self.line)
        if task_ctx is not None:
            tally.current().ask(self.stage, str(task_ctx.task_run.id))
        key = self.key_of(inputs)
        return key if admit(inputs["workspace"], key) else None

    def key_of(self, inputs: Mapping[str, Any]) -> str:
        """The key alone."""
        counted = {name: content(value) for name, value in inputs.items() if name not in NEVER_COUNTED}
        parts = [self.stage, self.version, counted, self.digests(inputs)]
        digest = hashlib.sha256(json.dumps(parts, sort_keys=True, allow_nan=False).encode()).hexdigest()
        return f"{self.stage}-{digest}"


def content(value: Any) -> Any:
    """What counts of an argument: settings by value, references by their sha256, the rest as it is."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude=set(getattr(value, "paths", ())))
    if isinstance(value, Mapping):
        return value["sha256"] if "sha256" in value else {k: content(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [content(v) for v in value]
    return value


def worth_another_try(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """True for passing faults: ours that say so, and input/output errors other than a full disk."""
    error = state.data
    if isinstance(error, FaceswapError):
        return error.retryable
    return isinstance(error, OSError) and error.errno not in (errno.ENOSPC, errno.EDQUOT)


def stage_task(
    stage: str, version: int = 1, *, run_name: str = "", digests: Digests = no_digests, pooled: bool = True
) -> Callable[[Callable[P, R]], Task[P, R]]:
    """Make a function a cached, retried, measured task.

    Args:
        stage: name of the task in the flow UI.
        version: raised when the stage's output changes for equal input.
        run_name: template of a run's name, with the function's arguments.
        digests: what the key covers beside the arguments.
        pooled: whether it is submitted to the pool; False for stages that are called directly.
    """

    def decorate(function: Callable[P, R]) -> Task[P, R]:
        signature = inspect.signature(function)

        @wraps(function)
        def body(*args: P.args, **kwargs: P.kwargs) -> R:
            progress.refuse_after_stop()
            with tally.current().measured(stage, _task_run_id(), pooled=pooled):
                result = function(*args, **kwargs)
            _note_lineage(signature.bind(*args, **kwargs).arguments, result)
            return result

        return task(
            name=stage,
            task_run_name=run_name or stage,
            cache_policy=StageKey(stage, version, digests),
            persist_result=True,
            result_serializer=PLAIN_JSON,
            retries=len(_RETRY_DELAYS_SECONDS),
            retry_delay_seconds=_RETRY_DELAYS_SECONDS,
            retry_condition_fn=worth_another_try,
        )(body)

    return decorate


def stored(asked: Task[P, R], *args: P.args, **kwargs: P.kwargs) -> R | None:
    """What an earlier run of a task made, if all of it is there; nothing is computed."""
    policy = asked.cache_policy
    assert isinstance(policy, StageKey)
    inputs = get_call_parameters(asked.fn, args, kwargs)
    found: R | None = recorded_result(inputs["workspace"], policy.key_of(inputs))
    return found


def _note_lineage(given: Mapping[str, Any], result: Any) -> None:
    """Write down which consent records the files that a task made come from."""
    workspace = Workspace(given["workspace"])
    note_made(workspace, given, promised_files(workspace, result))


def _task_run_id() -> str:
    context = TaskRunContext.get()
    return str(context.task_run.id) if context else "outside a run"


@contextmanager
def gpu_slot(device: str) -> Iterator[None]:
    """Let one network at a time work on a device."""
    with _gpu_slots.setdefault(device, threading.Lock()):
        yield


@contextmanager
def job_runner(workspace: str, runtime: RuntimeSettings) -> Iterator[None]:
    """Run tasks called inside as ``runtime`` says, with their records in the workspace.

    Both are known only once the job is, so they are set on the context of the running flow rather than on the
    flow: a deployment's worker then does the same as the command line.
    """
    folder = results_folder(workspace)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    flow_run = FlowRunContext.get()
    if flow_run is None:
        raise FaceswapError("job_runner was entered outside a flow: call it in a flow's body")
    storage = Records(workspace=workspace) if Workspace(workspace).store else LocalFileSystem(basepath=str(folder))
    store = flow_run.result_store.model_copy(update={"result_storage": storage})
    with ExitStack() as stack:
        if runtime.runner != "threads":
            stack.enter_context(relay.listening_to_workers(worker.heard_by(tally.current()), runtime.cluster))
        runner = stack.enter_context(runner_of(runtime))
        stack.enter_context(flow_run.model_copy(update={"result_store": store, "task_runner": runner}))
        yield
