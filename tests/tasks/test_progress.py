import pytest

from tasks import progress
from tasks.tally import Tally


@pytest.fixture(autouse=True)
def _fresh():
    progress.reset()
    yield
    progress.reset()


def test_parts_of_a_stage_add_up():
    events = []
    with progress.listening(events.append):
        progress.expect("detect-faces", 100)
        progress.of("detect-faces", "0")(10, 60, "frames")
        progress.finished("detect-faces", "0", 60)
        progress.finished("detect-faces", "1", 40)
    assert (events[-1].done, events[-1].total) == (100, 100)


def test_events_are_throttled_but_the_last_always_comes():
    events = []
    with progress.listening(events.append):
        tell = progress.of("train-model", "all")
        for step in range(1, 1001):
            tell(step, 1000, "loss")
    assert len(events) < 20
    assert events[-1].done == 1000


def test_nothing_begins_after_a_stop_was_asked_for():
    progress.request_stop()
    with pytest.raises(progress.StopRequestedError) as caught:
        progress.of("detect-faces", "0")
    assert caught.value.exit_code == 130


def test_a_training_ends_only_soon_after_a_checkpoint():
    tell = progress.of_training("train-model", "all", 500)
    progress.request_stop()
    tell(500, 3000, "")
    tell(900, 3000, "")
    with pytest.raises(progress.StopRequestedError):
        tell(1100, 3000, "")


def test_a_tally_counts_what_ran_and_what_was_found():
    tally = Tally()
    for run in ("one", "two", "three"):
        tally.ask("detect-faces", run)
    for _attempt in range(2):
        with tally.measured("detect-faces", "two", pooled=True):
            pass
    assert {k: tally.report()["detect-faces"][k] for k in ("computed", "cached")} == {"computed": 1, "cached": 2}
