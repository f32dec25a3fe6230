"""Faults of a run of a deployment: a part of `faceswap up` is killed, or the flow's process, or the service itself."""

from pathlib import Path

import pytest
from faults import TIMES, TRAINING, goes_on, job_in, kill, pick, undisturbed
from processes import children_of, command_of, left_of, works_on
from test_service import free_port, post, until, up

from faceswap_core.jobfile import load_job

pytestmark = [pytest.mark.flow, pytest.mark.release]


@pytest.fixture(scope="module")
def calm(server, tiny_job, tmp_path_factory):
    return undisturbed(tiny_job, tmp_path_factory.mktemp("calm"))


class Deployed:
    """A job as a run of the deployment of `faceswap up`."""

    def __init__(self, said, job):
        self.url, self.pid, self.job = said["api_url"], said["pid"], job
        deployments = {d["name"]: d["id"] for d in post(self.url, "/deployments/filter", {})}
        post(self.url, f"/deployments/{deployments['inbox']}/pause_deployment", {})
        settings = load_job(job, TRAINING[1::2]).model_dump(mode="json")
        asked = {"parameters": {"job": settings}, "state": {"type": "SCHEDULED"}}
        path = f"/deployments/{deployments['swap-video']}/create_flow_run"
        self.run = post(self.url, path, asked)["id"]

    def state(self):
        return post(self.url, "/flow_runs/filter", {"flow_runs": {"id": {"any_": [self.run]}}})[0]["state_type"]

    def strike(self, records, is_victim):
        """Kill a process of `faceswap up`, or itself, once so much is done; gives all that was running."""
        folder = self.job.parent / "ws" / ".prefect-results"
        until(lambda: folder.is_dir() and len(list(folder.iterdir())) >= records)
        started = children_of(self.pid)
        kill(next(pid for pid in (self.pid, *started) if is_victim(self.run, pid)))
        return started

    def ended(self):
        """How it ended; by itself, as nothing was asked for."""
        return until(lambda: (state := self.state()) in ("COMPLETED", "FAILED", "CRASHED") and state)

    def completed(self):
        """Whether it ended well, by itself or retried as from the flow UI."""
        if self.ended() != "COMPLETED":
            retry = {"state": {"type": "SCHEDULED", "name": "AwaitingRetry"}, "force": True}
            post(self.url, f"/flow_runs/{self.run}/set_state", retry)
        return until(lambda: (state := self.state()) in ("COMPLETED", "FAILED", "CRASHED") and state) == "COMPLETED"


def records_of(kind, calm):
    """After how many records of a run's results to strike."""
    last = len(list((Path(calm.last["output"]).parent / "ws" / ".prefect-results").iterdir()))
    return [pick(kind, number).randrange(1, last) for number in range(TIMES)]


@pytest.fixture(scope="module")
def standing(tmp_path_factory):
    """One `faceswap up` for all faults that it outlives."""
    with up(tmp_path_factory.mktemp("standing"), free_port()) as said:
        yield said


PARTS = {
    "worker": lambda _, pid: "-m flows.child " in command_of(pid),
    "server": lambda _, pid: "-m flows.server_child " in command_of(pid),
    "flow": works_on,
}


@pytest.mark.parametrize("part", PARTS)
def test_kill_9_of_a_part_of_the_service(calm, standing, tiny_job, tmp_path, part):
    for number, records in enumerate(records_of(part, calm)):
        job = job_in(tmp_path / str(number), tiny_job)
        deployed = Deployed(standing, job)
        started = deployed.strike(records, PARTS[part])
        if part == "flow":
            assert deployed.ended() == "CRASHED"
        assert deployed.completed()
        assert left_of([pid for pid in started if works_on(deployed.run, pid)]) == []
        goes_on(job, calm, told={"fault": f"kill -9 of the {part} under `up`", "records": records})


def test_kill_9_of_the_service_itself(calm, tiny_job, tmp_path):
    for number, records in enumerate(records_of("service", calm)):
        job, home = job_in(tmp_path / str(number), tiny_job), tmp_path / f"home-{number}"
        with up(home, free_port()) as said:
            deployed = Deployed(said, job)
            started = deployed.strike(records, lambda _, pid: pid == said["pid"])
            assert left_of(started) == []
        with up(home, free_port()) as said:
            deployed.url = said["api_url"]
            assert deployed.completed()
        goes_on(job, calm, told={"fault": "kill -9 of `up`", "records": records})
