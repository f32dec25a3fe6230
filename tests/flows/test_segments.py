"""How a plate is cut into segments, and what a segment takes along."""

import pytest
from conftest import faceswap
from hypothesis import given
from hypothesis import strategies as st
from test_kill_and_resume import frames_of
from test_service import post

from faceswap_core.config import SmoothSettings
from flows.chunks import Segment, halo, segment_of
from flows.faceset import Faceset
from flows.segments import grouped

VIDEO = {"path": "/p.mp4", "sha256": "5" * 64, "size": 1}


def ref(name, rows):
    return {"path": name, "sha256": f"{rows:064d}", "rows": rows, "schema": f"{name}/1"}


def frames(*sizes):
    return {number: ref("frames", rows) for number, rows in enumerate(sizes)}


def plate(sizes):
    chunks = list(frames(*sizes).values())
    aligned = [{"aligned": ref("aligned", rows), "masks": ref("masks", rows)} for rows in sizes]
    return Faceset(VIDEO, chunks, [], aligned)


@pytest.mark.parametrize(
    ("sizes", "radius", "expected"),
    [
        ((60, 60, 60), 2, ([0], [2])),
        ((60, 60, 60), 0, ([], [])),
        ((1, 60, 1, 1), 2, ([0], [2, 3])),
        ((20, 20, 20, 20), 30, ([0], [2, 3])),
    ],
)
def test_the_halo_reaches_as_far_as_the_filter(sizes, radius, expected):
    assert halo(frames(*sizes), 1, SmoothSettings(radius=radius)) == expected


def test_a_filter_that_is_off_has_no_halo():
    assert halo(frames(9, 9, 9), 1, SmoothSettings(strength=0)) == ([], [])


@given(st.lists(st.integers(1, 99), min_size=1, max_size=40), st.floats(0, 500))
def test_groups_hold_every_chunk_once_and_enough_frames(rows, least):
    groups = grouped(rows, least)
    assert [number for group in groups for number in group] == list(range(len(rows)))
    assert all(groups)
    assert len(groups) == 1 or all(sum(rows[n] for n in group) >= least for group in groups)


@given(st.lists(st.integers(1, 30), min_size=1, max_size=12), st.integers(0, 30), st.floats(1, 60))
def test_filters_reach_as_far_in_a_segment_as_in_the_plate(sizes, radius, least):
    smooth, whole = SmoothSettings(radius=radius), plate(sizes)
    for numbers in grouped(sizes, least):
        segment = segment_of(whole, numbers, smooth)
        for number in numbers:
            assert halo(segment.frames, number, smooth) == halo(frames(*sizes), number, smooth)
        assert set(segment.frames) == set(segment.aligned) == set(range(min(segment.frames), max(segment.frames) + 1))
        assert segment.opening == whole.frames[0]


def test_a_segment_travels_as_the_parameter_of_a_run():
    segment = segment_of(plate([10, 10, 10, 10]), [1, 2], SmoothSettings(radius=3))
    assert Segment.model_validate_json(segment.model_dump_json()) == segment
    assert segment.span == "1-2"


@pytest.mark.flow
def test_a_server_that_knows_no_segments_ends_with_3(tiny_job, tmp_path):
    own = {"PREFECT_API_URL": "", "PREFECT_HOME": str(tmp_path)}
    done = faceswap("run", tiny_job, "--set", "runtime.segment_seconds=1", **own)
    assert done.code == 3
    assert "convert-segment" in done.last["message"]
    assert "faceswap up" in done.last["message"]


@pytest.mark.flow
@pytest.mark.release
def test_a_job_that_finds_no_other_worker_converts_all_itself(server, first, tiny_job, tmp_path):
    flow = post(server, "/flows/", {"name": "convert-segment"})["id"]
    deployment = post(server, "/deployments/", {"name": "convert-segment", "flow_id": flow})["id"]
    (tmp_path / "job.toml").write_text(tiny_job.read_text())

    def states():
        asked = post(server, "/flow_runs/filter", {"flow_runs": {"deployment_id": {"any_": [deployment]}}})
        return [run["state_type"] for run in asked]

    shared = faceswap("run", tmp_path / "job.toml", "--set", "runtime.segment_seconds=0.3", seconds=900)
    assert shared.code == 0, shared.stderr
    assert states() == ["CANCELLED"] * 4
    assert frames_of(shared.last["output"]) == frames_of(first.last["output"])
    assert shared.computed == first.computed
    again = faceswap("run", tmp_path / "job.toml", "--set", "runtime.segment_seconds=0.3", seconds=900)
    assert again.last["computed"] == 0
    assert len(states()) == 4, "what is finished is asked of nobody"
