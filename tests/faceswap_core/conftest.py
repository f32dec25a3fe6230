import pytest
import torch


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def store(tmp_path, monkeypatch):
    """An empty model store of this test's own; it does not exist yet."""
    monkeypatch.setenv("FACESWAP_MODELS", str(tmp_path / "store"))
    return tmp_path / "store"
