"""a call to an object store -> its answer, or an error of ours: what passes is waited out, what does not is explained.

s3fs, botocore and aiohttp raise errors that share no class. Their texts can hold addresses and keys, so that only
class, code and status of an error are ever told.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from typing import Any, TypeVar

from faceswap_core.errors import EnvironmentFault, FaceswapError, ResourceError, SettingsError

T = TypeVar("T")
_log = logging.getLogger(__name__)
PATIENCE_SECONDS = 180.0
"""How long a store that answered before may fail before the task does; it is then tried twice more."""
_FIRST_PATIENCE_SECONDS = 45.0
"""The same for a store that was not reached yet: its address may be wrong."""
_FIRST_DELAY_SECONDS = 0.25
_LONGEST_DELAY_SECONDS = 5.0
_PASSING_CODES = {"SlowDown", "RequestTimeout", "ConditionalRequestConflict", "OperationAborted", "429"}


def endpoint() -> str:
    """Where the store is asked, '' for Amazon's own."""
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""


class Patience:
    """How the calls to one store are made."""

    def __init__(self, address: str, bucket: str) -> None:
        """Name the store for messages."""
        self.address, self.bucket = address, bucket
        self._reached = False

    def call(self, call: Callable[[], T]) -> T:
        """Make a call, again and again while the fault is a passing one.

        Raises:
            OSError: FileNotFoundError where the object is not there, or what a condition did not meet.
            FaceswapError: what else can be wrong, in our words.
        """
        began, delay = time.monotonic(), _FIRST_DELAY_SECONDS
        while True:
            try:
                result = call()
                self._reached = True
                return result
            except FileNotFoundError as error:
                self._reached = True
                if code_of(error) == "NoSuchBucket":
                    raise self._refused(error) from error
                raise
            except Exception as error:  # botocore, aiohttp and s3fs share no class
                if not _is_passing(error):
                    raise self._refused(error) if _is_refusal(error) else error from error.__cause__
                patience = PATIENCE_SECONDS if self._reached else _FIRST_PATIENCE_SECONDS
                if time.monotonic() - began > patience:
                    raise ResourceError(
                        f"{self.address} fails since {time.monotonic() - began:.0f} s ({_shown(error)}): see whether "
                        "the store runs and AWS_ENDPOINT_URL names it, then run the same command again; finished "
                        "work is kept"
                    ) from error
                if delay == _FIRST_DELAY_SECONDS:
                    _log.warning("waiting for %s, which fails (%s)", self.address, _shown(error))
                time.sleep(delay)
                delay = min(2 * delay, _LONGEST_DELAY_SECONDS)

    def _refused(self, error: Exception) -> FaceswapError:
        if code_of(error) == "NoSuchBucket":
            return SettingsError(f"there is no bucket {self.bucket!r} at {endpoint() or 'Amazon S3'}: create it first")
        return EnvironmentFault(
            f"{self.address} cannot be used ({_shown(error)}): give credentials that may list, read, write and delete "
            "there, by AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile or the machine's role"
        )


def _response(error: BaseException) -> dict[str, Any]:
    found = getattr(error, "response", None) or getattr(error.__cause__, "response", None)
    return found if isinstance(found, dict) else {}


def code_of(error: BaseException) -> str:
    """The store's own word for a fault, such as ``NoSuchKey``; '' where it said none."""
    return str(_response(error).get("Error", {}).get("Code", ""))


def _status(error: BaseException) -> int:
    return int(_response(error).get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _is_passing(error: Exception) -> bool:
    """True where the same request may succeed later: no answer, or one that blames the store."""
    if _response(error):
        return (_status(error) >= 500 and _status(error) != 501) or code_of(error) in _PASSING_CODES
    if isinstance(error, ConnectionError | TimeoutError):
        return True
    return type(error).__module__.partition(".")[0] in ("aiohttp", "botocore", "aiobotocore") and not _is_refusal(error)


def _is_refusal(error: Exception) -> bool:
    """True where rights or credentials are missing."""
    names = {
        "NoCredentialsError",
        "PartialCredentialsError",
        "NoRegionError",
        "ProfileNotFound",
        "ParamValidationError",
    }
    return _status(error) in (401, 403) or code_of(error) == "NoSuchBucket" or type(error).__name__ in names


def _shown(error: Exception) -> str:
    """An error as it may be logged: class, code and status, never its text."""
    told = " ".join(filter(None, (code_of(error), str(_status(error) or ""))))
    return f"{type(error).__name__} {told}".strip()
