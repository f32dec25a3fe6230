"""settings or user data folder -> who signs outputs, and which roots are believed."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

import platformdirs

from faceswap_core.config_provenance import ProvenanceSettings
from faceswap_core.errors import ConsentError
from faceswap_core.stages.consent import read_bytes, read_private, write_private
from faceswap_core.storage import atomic_path
from faceswap_core.trust.identity import Identity, check_signature, identity_of, is_test, make_test_chain, utc_now

_SIGNERS = "faceswap.signers"
"""Entry point group: functions without arguments that give an `Identity`."""
_ROOT, _CHAIN, _KEY = "root.pem", "chain.pem", "key.pem"


def test_folder() -> Path:
    """Where the test identity of this user lies."""
    return platformdirs.user_data_path("faceswap") / "test-identity"


def make_test_identity(*, renew: bool = False) -> Path:
    """Make the throw-away chain for trials unless there is one that holds another day; returns its folder."""
    folder = test_folder()
    if not renew and _holds(folder):
        return folder
    chain = make_test_chain(utc_now())
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / _KEY).unlink(missing_ok=True)
    write_private(folder / _KEY, chain.key_pem)
    for name, data in ((_ROOT, chain.root_pem), (_CHAIN, chain.chain_pem)):
        with atomic_path(folder / name) as temporary:
            temporary.write_bytes(data)
    return folder


def _holds(folder: Path) -> bool:
    try:
        root, chain = ((folder / name).read_bytes() for name in (_ROOT, _CHAIN))
        signature = _read(folder / _CHAIN, folder / _KEY).sign(b"x")
    except (OSError, ConsentError):
        return False
    return not check_signature(chain, signature, b"x", [root], utc_now() + timedelta(days=1))


def test_root() -> list[bytes]:
    """The anchor of the test identity, where one was made here."""
    path = test_folder() / _ROOT
    return [path.read_bytes()] if path.is_file() else []


def signing_identity(settings: ProvenanceSettings) -> Identity:
    """Who signs, as the settings say; without any the test identity, which is made where it is missing.

    Raises:
        ConsentError: key or certificates cannot be used.
    """
    if settings.certificates is None:
        folder = make_test_identity()
        return _read(folder / _CHAIN, folder / _KEY)
    if settings.key is not None:
        return _read(settings.certificates, settings.key)
    found = [e for e in importlib.metadata.entry_points(group=_SIGNERS) if e.name == settings.signer]
    if not found:
        raise ConsentError(f"provenance.signer {settings.signer!r} is no entry point of {_SIGNERS}: install it")
    identity = found[0].load()()
    if not isinstance(identity, Identity):
        raise ConsentError(f"provenance.signer {settings.signer!r} gave no Identity: correct that package")
    return Identity(read_bytes(settings.certificates, "certificates"), identity.algorithm, identity.sign)


def _read(chain: Path, key: Path) -> Identity:
    return identity_of(read_bytes(chain, "certificates"), read_private(key), str(key))


def check_signer(settings: ProvenanceSettings, kinds: Iterable[str]) -> Identity:
    """The identity that a job signs with, refused where it would pass a real output off as a trial.

    Args:
        settings: of the job.
        kinds: of the consent records.

    Raises:
        ConsentError: real people and no identity, or one that is for trials.
    """
    real = "person" in set(kinds)
    if real and settings.certificates is None:
        raise ConsentError(
            "nobody signs the output: set provenance.certificates and provenance.key (or signer); the test identity is "
            "for rendered actors and test records only"
        )
    identity = signing_identity(settings)
    if real and is_test(identity.chain_pem):
        raise ConsentError("provenance.certificates is a test chain, and the people are real: name a real one")
    return identity


def anchors_in(folder: Path | None) -> list[bytes]:
    """Root certificates in a folder (``*.pem``).

    Raises:
        ConsentError: there is no such folder.
    """
    if folder is None:
        return []
    if not folder.is_dir():
        raise ConsentError(f"--anchors {folder} is no folder: name the one with the root certificates")
    return [read_bytes(path, "anchor") for path in sorted(folder.glob("*.pem"))]
