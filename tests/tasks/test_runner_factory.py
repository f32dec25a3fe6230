import importlib.util
import typing

import pytest

from faceswap_core.config import RuntimeSettings
from faceswap_core.errors import EnvironmentFault, SettingsError
from tasks import runners


def test_factory_and_settings_name_the_same_runners():
    field = RuntimeSettings.model_fields["runner"].annotation
    assert tuple(runners.RUNNERS) == typing.get_args(field)


@pytest.mark.parametrize(("runner", "package"), [("dask", "distributed"), ("ray", "ray")])
def test_a_missing_extra_ends_with_3_and_the_command_that_installs_it(monkeypatch, runner, package):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == package else find(name))
    for refused in (runners.check_runner, runners.runner_of):
        with pytest.raises(EnvironmentFault, match=rf"pip install 'faceswap-pipeline\[{runner}\]'") as caught:
            refused(RuntimeSettings(runner=runner))
        assert caught.value.exit_code == 3


def test_threads_and_processes_have_no_cluster():
    for runner in ("threads", "processes"):
        runners.check_runner(RuntimeSettings(runner=runner))
        with pytest.raises(SettingsError, match="has no cluster"):
            runners.check_runner(RuntimeSettings(runner=runner, cluster="10.0.0.5:8786"))


@pytest.mark.parametrize("given", ["10.0.0.5", "tcp://x", "a b:1", "file:///etc:1"])
def test_a_cluster_is_a_host_and_a_port(given):
    with pytest.raises(ValueError, match="pattern"):
        RuntimeSettings(cluster=given)
    assert RuntimeSettings(cluster="tcp://10.0.0.5:8786").cluster
