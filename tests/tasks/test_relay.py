import json
import logging
import pickle
import socket
import subprocess
import sys
from dataclasses import asdict, replace

import pytest

from tasks import progress, relay, worker
from tasks.options import StageKey
from tasks.tally import Tally

WORKER = """
import json, logging, sys
from tasks import progress, relay, tally, worker

given = json.loads(sys.argv[1])
worker.follow(relay.Line(**{**given, "owner": tuple(given["owner"])}))
tell = progress.of("detect-faces", "0")
for done in range(101):
    tell(done, 100, "frames")
tally.current().ask("detect-faces", "run")
with tally.current().measured("detect-faces", "run", pooled=True):
    logging.getLogger("faceswap_core.stages.detect").info("found %d", 7)
sys.stdin.readline()
try:
    progress.refuse_after_stop()
except progress.StopRequestedError:
    print("stopped", flush=True)
"""


@pytest.fixture(autouse=True)
def _fresh():
    progress.reset()
    yield
    progress.reset()


@pytest.fixture
def records():
    """What is logged here under the names of the core."""
    found = []
    handler = logging.Handler()
    handler.emit = found.append
    logging.getLogger("faceswap_core").addHandler(handler)
    yield found
    logging.getLogger("faceswap_core").removeHandler(handler)


def test_what_a_worker_tells_ends_up_where_a_thread_tells_it_and_a_stop_reaches_it(records):
    tally, events = Tally(), []
    with progress.listening(events.append), relay.listening_to_workers(worker.heard_by(tally)) as line:
        command = [sys.executable, "-c", WORKER, json.dumps(asdict(line))]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            while not tally.report().get("detect-faces", {}).get("computed"):
                assert process.poll() is None
            progress.request_stop()
            assert process.communicate("\n", timeout=60)[0] == "stopped\n"
    assert (events[-1].stage, events[-1].done, events[-1].total) == ("detect-faces", 100, 100)
    assert len(events) < 20, "a worker tells some of its frames, not all"
    assert tally.report()["detect-faces"]["cached"] == 0
    assert [(record.name, record.getMessage()) for record in records] == [("faceswap_core.stages.detect", "found 7")]
    assert not records[0].send_to_api, "Prefect's own handler in the worker has sent it already"


def test_who_does_not_know_the_secret_is_not_heard():
    heard = []
    with relay.listening_to_workers(lambda message: bool(heard.append(message))) as line:
        with socket.create_connection((line.host, line.port), timeout=10) as stranger:
            stranger.sendall(b'guess\n{"progress": []}\n')
            assert stranger.recv(100) == b""
        with socket.create_connection((line.host, line.port), timeout=10) as friend:
            friend.sendall(line.secret.encode() + b'\n{"known": 1}\n')
            assert json.loads(friend.recv(100)) == {"stop": False}
    assert heard == [{"known": 1}]
    assert line.host == "127.0.0.1"


def test_a_task_takes_the_way_back_to_its_run_along_and_the_run_itself_does_not_use_it():
    policy = StageKey("detect-faces", 1)
    assert pickle.loads(pickle.dumps(policy)).line is None
    with relay.listening_to_workers(lambda _message: False) as line:
        there = pickle.loads(pickle.dumps(policy))
        assert there.line == line
        worker.follow(there.line)
        assert not relay.is_worker()


def test_a_run_that_is_gone_costs_a_worker_no_work(monkeypatch, caplog):
    monkeypatch.setattr(worker, "_tell_logs", lambda: None)
    with relay.listening_to_workers(lambda _message: False) as line:
        worker.follow(replace(line, owner=("elsewhere", 1)))
        assert relay.is_worker()
        relay.tell({})
        relay._to_run.close()  # as where the run is gone
    progress.of("detect-faces", "0")(1, 2, "frames")
    progress.refuse_after_stop()
    assert not relay.is_worker()
    worker.follow(replace(line, owner=("elsewhere", 1)))
    assert "cannot be told" in caplog.text
