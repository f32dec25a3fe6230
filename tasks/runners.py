"""`runtime.runner` -> where the tasks of a job run: threads, processes, Dask or Ray; the last two come as extras.

Tasks that use a GPU are called directly and never get here. Whichever runner it is, the frames are the same.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from faceswap_core.config import RuntimeSettings
from faceswap_core.errors import EnvironmentFault, SettingsError

if TYPE_CHECKING:
    from prefect.task_runners import TaskRunner

_PACKAGES = {"dask": ("prefect_dask", "distributed"), "ray": ("prefect_ray", "ray")}
"""Extras of this project, and what they bring."""
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
_RAY = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_worker_niceness": "0",
}
"""Nothing is sent to Ray's makers, GPUs stay in sight of detectors, and workers stand behind nobody."""
_OBJECT_STORE_BYTES = 100 * 1024 * 1024
"""References and numbers are all that passes through it."""


def check_runner(runtime: RuntimeSettings) -> None:
    """Refuse a runner that cannot work here; imports nothing.

    Raises:
        EnvironmentFault: its extra is not installed.
        SettingsError: a cluster is named for a runner that has none.
    """
    missing = [name for name in _PACKAGES.get(runtime.runner, ()) if importlib.util.find_spec(name) is None]
    if missing:
        raise EnvironmentFault(
            f"runtime.runner is {runtime.runner!r}, and {', '.join(missing)} is not installed: "
            f"pip install 'faceswap-pipeline[{runtime.runner}]', or set runtime.runner to threads or processes"
        )
    if runtime.cluster and runtime.runner not in _PACKAGES:
        raise SettingsError(
            f"runtime.cluster is {runtime.cluster!r}, and runner {runtime.runner!r} has no cluster: set runtime.runner "
            "to dask or ray, or leave the cluster out"
        )


def runner_of(runtime: RuntimeSettings) -> TaskRunner[Any]:
    """The task runner of a job.

    Raises:
        EnvironmentFault: its extra is not installed.
    """
    check_runner(runtime)
    return RUNNERS[runtime.runner](runtime)


def _threads(runtime: RuntimeSettings) -> TaskRunner[Any]:
    from prefect.task_runners import ThreadPoolTaskRunner

    return ThreadPoolTaskRunner(max_workers=runtime.workers)


def _processes(runtime: RuntimeSettings) -> TaskRunner[Any]:
    from prefect.task_runners import ProcessPoolTaskRunner

    from tasks.worker import prepare

    return ProcessPoolTaskRunner(max_workers=runtime.workers, initializer=prepare, initargs=(os.getpid(),))


def _dask(runtime: RuntimeSettings) -> TaskRunner[Any]:
    from prefect_dask.task_runners import DaskTaskRunner

    own: dict[str, Any] = {
        "n_workers": runtime.workers,
        "threads_per_worker": 1,
        "processes": True,
        "dashboard_address": None,
        "host": "127.0.0.1",
        "preload": "tasks.worker",
    }
    where = {"address": runtime.cluster} if runtime.cluster else {"cluster_kwargs": own}
    runner: TaskRunner[Any] = DaskTaskRunner(**where)
    return runner


def _ray(runtime: RuntimeSettings) -> TaskRunner[Any]:
    for name, value in _RAY.items():
        os.environ.setdefault(name, value)
    from prefect_ray.task_runners import RayTaskRunner

    own: dict[str, Any] = {
        "num_cpus": runtime.workers,
        "include_dashboard": False,
        "object_store_memory": _OBJECT_STORE_BYTES,
        "runtime_env": {"env_vars": _ONE_THREAD},
    }
    kwargs = {"log_to_driver": False, **({} if runtime.cluster else own)}
    runner: TaskRunner[Any] = RayTaskRunner(address=runtime.cluster or None, init_kwargs=kwargs)
    return runner


RUNNERS: dict[str, Callable[[RuntimeSettings], TaskRunner[Any]]] = {
    "threads": _threads,
    "processes": _processes,
    "dask": _dask,
    "ray": _ray,
}
