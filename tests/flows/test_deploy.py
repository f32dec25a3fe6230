"""prefect.yaml, the templates of deploy/ and the example automations, as the real server takes them."""

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
import yaml

from flows.service import POOL

pytestmark = pytest.mark.flow
ROOT = Path(__file__).parents[2]
POOLS = {
    POOL: ("process", None),
    "in-docker": ("docker", "docker-pool"),
    "in-kubernetes": ("kubernetes", "kubernetes-pool"),
}
DEPLOYMENTS = {
    "swap-video": "gpu",
    "build-faceset": "cpu",
    "train": "gpu",
    "convert": "gpu",
    "convert-segment": "cpu",
    "evaluate": "gpu",
    "inbox": "cpu",
}


def prefect(*arguments, **environment):
    command = [sys.executable, "-P", "-m", "prefect", *map(str, arguments)]
    env = {**os.environ, **environment}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=600, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    return said


def ask(url, path, body):
    request = urllib.request.Request(url + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as reply:
        return json.loads(reply.read())


def placeholders(template):
    """Names in ``{{ }}`` anywhere in a pool's template."""
    text = json.dumps(template)
    return {part.split("}}")[0].strip() for part in text.split("{{")[1:]}


@pytest.mark.parametrize("name", ["docker-pool", "kubernetes-pool"])
def test_a_template_explains_every_variable_that_it_uses(name):
    template = json.loads((ROOT / "deploy" / f"{name}.json").read_text())
    variables = template["variables"]["properties"]
    assert placeholders(template["job_configuration"]) == set(variables)
    assert all(variable.get("title") for variable in variables.values())


def test_the_image_holds_what_the_deployments_name():
    lines = (ROOT / "deploy" / "Dockerfile").read_text()
    copied = {
        line.split()[1].removeprefix("./") for line in lines.splitlines() if line.startswith("COPY ") and "./" in line
    }
    entrypoints = {
        d["entrypoint"].split("/")[0] for d in yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    }
    assert entrypoints | {"faceswap_core", "tasks", "prefect.yaml"} <= copied
    assert "WORKDIR /opt/faceswap" in lines
    assert lines.index("USER faceswap") < lines.index("models pull"), "the model store is the user's"


@pytest.mark.release
@pytest.mark.parametrize("pool", POOLS)
def test_every_pool_takes_all_deployments(server, pool):
    kind, template = POOLS[pool]
    more = ["--base-job-template", ROOT / "deploy" / f"{template}.json"] if template else []
    prefect("work-pool", "create", pool, "--type", kind, "--overwrite", *more)
    said = prefect("--no-prompt", "deploy", "--all", FACESWAP_HOME=str(ROOT), FACESWAP_POOL=pool)
    assert not [word for word in ("Traceback", "422", "rror") if word in said], said
    found = {d["name"]: d for d in ask(server, "/deployments/filter", {}) if d["work_pool_name"] == pool}
    assert {name: d["work_queue_name"] for name, d in found.items()} == DEPLOYMENTS
    for deployment in found.values():
        assert deployment["description"]
        assert {"faceswap", deployment["work_queue_name"]} <= set(deployment["tags"])
        assert deployment["pull_steps"][0]["prefect.deployments.steps.set_working_directory"]["directory"] == str(ROOT)
        assert deployment["enforce_parameter_schema"]
    fields = found["swap-video"]["parameter_openapi_schema"]["definitions"]["JobSettings"]["properties"]
    assert {"plate", "subjects", "train", "runtime"} <= set(fields)
    assert found["inbox"]["schedules"][0]["schedule"]["cron"] == "* * * * *"
    assert [found[name]["global_concurrency_limit"]["limit"] for name in ("train", "inbox")] == [1, 1]


@pytest.mark.release
def test_the_example_automations_are_taken(server):
    prefect("automation", "create", "--from-file", ROOT / "deploy" / "automations.yaml")
    given = yaml.safe_load((ROOT / "deploy" / "automations.yaml").read_text())["automations"]
    found = {a["name"]: a for a in ask(server, "/automations/filter", {})}
    for automation in given:
        assert found[automation["name"]]["enabled"]
        assert found[automation["name"]]["actions"][0]["type"] == automation["actions"][0]["type"]
    assert given[0]["trigger"]["expect"] == ["faceswap.run.failed"]
