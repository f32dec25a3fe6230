"""A whole job where nothing but loopback is up, and every address that it names to the kernel."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest

pytestmark = [
    pytest.mark.flow,
    pytest.mark.release,
    pytest.mark.skipif(sys.platform != "linux", reason="needs Linux: network namespaces and strace"),
]

TOOLS = {"unshare": "util-linux", "ip": "iproute2", "strace": "strace"}
CALLS = ("-e", "trace=connect,sendto,sendmsg,sendmmsg")
ADDRESS = re.compile(
    r"sa_family=(?P<family>AF_\w+)"
    r"(?:, sin6?_port=htons\((?P<port>\d+)\).*?(?:inet_addr\(|inet_pton\(AF_INET6, )\"(?P<host>[^\"]*)\")?"
)
OF_THIS_MACHINE = ("AF_UNIX", "AF_NETLINK", "AF_UNSPEC")
LOOPBACK = re.compile(r"127\.|::1$|::ffff:127\.")
DNS = "53"
FACESWAP = "from flows.cli import main; main()"


class Traced:
    """A Python program that ran in a network namespace of its own, and the addresses that it turned to."""

    def __init__(self, code, *arguments, log, seconds=1200, **environment):
        if missing := [package for tool, package in TOOLS.items() if not shutil.which(tool)]:
            pytest.fail(f"install the system packages {', '.join(missing)}: without them nobody counts the connects")
        env = {**os.environ, **environment}
        env.pop("PREFECT_API_URL", None)
        self.done = subprocess.run(
            [
                *("unshare", "--map-root-user", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"),
                *("strace", "-f", "--seccomp-bpf", "-qq", "-s", "0", *CALLS, "-o", log, sys.executable, "-c", code),
                *map(str, arguments),
            ],
            env=env, capture_output=True, text=True, timeout=seconds, check=False,
        )  # fmt: skip
        self.addresses = [found.groupdict() for found in ADDRESS.finditer(log.read_text())] if log.exists() else []

    def __str__(self):
        calls = self.reached + sum(address["family"] in OF_THIS_MACHINE for address in self.addresses)
        return f"{calls} addresses named, {self.reached} of them on a network, {len(self.beyond)} beyond loopback"

    @property
    def last(self):
        return json.loads(self.done.stdout.splitlines()[-1])

    @property
    def reached(self):
        """How often a network was turned to, loopback for the most part."""
        return sum(address["family"] not in OF_THIS_MACHINE for address in self.addresses)

    @property
    def beyond(self):
        """Addresses beyond loopback, and every question for a name."""
        named = [a for a in self.addresses if a["family"] not in OF_THIS_MACHINE]
        return [a for a in named if not LOOPBACK.match(a["host"] or "") or a["port"] == DNS]


@pytest.mark.parametrize(
    "attempt",
    [
        "import socket; socket.socket().connect(('192.0.2.1', 80))",
        "import socket; socket.socket(socket.AF_INET6).connect(('2001:db8::1', 443))",
        "import socket; socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 9))",
        "import socket; socket.getaddrinfo('example.com', 80)",
    ],
)
def test_an_attempt_is_counted(tmp_path, attempt):
    tried = Traced(attempt, log=tmp_path / "strace.log")
    assert tried.done.returncode != 0
    assert tried.beyond, tried.done.stderr


def test_loopback_is_up_and_is_not_counted(tmp_path):
    code = "import socket; s = socket.create_server(('127.0.0.1', 0)); socket.create_connection(s.getsockname())"
    tried = Traced(code, log=tmp_path / "strace.log")
    assert tried.done.returncode == 0, tried.done.stderr
    assert (tried.reached, tried.beyond) == (1, [])


@pytest.fixture(scope="module")
def alone(tiny_job, tmp_path_factory):
    """The whole job in a workspace and with a server of its own, started inside the namespace."""
    folder = tmp_path_factory.mktemp("offline")
    changes = (f"workspace={folder / 'ws'}", f"output.video={folder / 'out.mp4'}")
    chosen = [word for change in changes for word in ("--set", change)]
    return Traced(
        FACESWAP, "run", tiny_job, *chosen, "--json", log=folder / "strace.log", PREFECT_HOME=str(folder / "prefect")
    )


def test_a_whole_job_works_and_turns_to_nothing_beyond_loopback(alone):
    assert alone.done.returncode == 0, alone.done.stderr[-2000:]
    assert alone.last["event"] == "done"
    assert alone.reached > 10, "Prefect's server was spoken to"
    assert alone.beyond == []


def test_its_output_is_verified_without_asking_anybody(alone, tmp_path):
    checked = Traced(FACESWAP, "verify", alone.last["output"], "--json", log=tmp_path / "strace.log")
    assert checked.done.returncode == 0, checked.done.stdout
    assert checked.beyond == []


def test_the_whole_demo_works_and_turns_to_nothing_beyond_loopback(tmp_path):
    """Rendering, training, swap, signing and report, as `faceswap demo` does them; print with ``-s``."""
    folder = tmp_path / "demo"
    demo = Traced(
        FACESWAP, "demo", "--workspace", folder, "--json",
        log=tmp_path / "strace.log", seconds=3600, PREFECT_HOME=str(tmp_path / "prefect"),
    )  # fmt: skip
    assert demo.done.returncode == 0, demo.done.stderr[-2000:]
    assert demo.last["event"] == "done"
    checked = Traced(FACESWAP, "verify", demo.last["output"], "--json", log=tmp_path / "verify.log")
    assert checked.done.returncode == 0, checked.done.stdout
    print(f"demo: {demo}\nverify: {checked}")
    assert demo.reached > 10, "Prefect's server was spoken to"
    assert demo.beyond == checked.beyond == []
