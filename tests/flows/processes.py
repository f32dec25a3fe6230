"""Processes of a run, as the system knows them."""

import os
import time


def children_of(pid):
    """Ids of all processes that come from one, it itself left out."""
    parents = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat", encoding="utf-8") as stat:
                parents[int(name)] = int(stat.read().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {pid}


def command_of(pid):
    """Command line of a living process; empty where it is gone."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as line:
            return line.read().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def works_on(flow_run, pid):
    """Whether a process is that of a flow run, as its environment says."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as environment:
            return f"PREFECT__FLOW_RUN_ID={flow_run}".encode() in environment.read().split(b"\0")
    except OSError:
        return False


def left_of(processes, seconds=60):
    """Commands of those that still live after a while; none is good."""
    end = time.monotonic() + seconds
    while (left := [command_of(pid) for pid in processes if command_of(pid)]) and time.monotonic() < end:
        time.sleep(0.5)
    return left
