"""names <-> objects under one prefix of an S3-compatible bucket, with patience for a store that fails for a while.

Endpoint, region and credentials come from the environment and files that every AWS tool reads; none of them is ever
logged or written down. An object appears whole or not at all, and nothing can be renamed.
"""

from __future__ import annotations

import base64
import os
import re
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar

from faceswap_core.errors import EnvironmentFault, SettingsError
from faceswap_core.patience import Patience, code_of, endpoint

T = TypeVar("T")
SCHEME = "s3://"
_LARGEST_SINGLE_PUT = 5 * 1024**3
_PART_BYTES = 64 * 1024**2
_AT_ONCE = 8
"""Small requests under way at once, where many are to be made."""
_ADDRESS = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])((?:/[\w.=+@ -]+)*)/*")


@dataclass(frozen=True)
class Entry:
    """What a store says of one object."""

    size: int
    """Bytes."""
    etag: str
    """Changes with the content; the MD5 of its bytes where they were sent in one piece and the store keeps them so."""
    modified: float
    """Seconds since 1970, by the store's clock."""
    sha256: str | None = None
    """Digest of its bytes where the store vouches for it, else as its writer noted; only where it was asked for."""


def parse_address(text: str) -> tuple[str, str]:
    """Bucket and prefix of ``s3://bucket/prefix``.

    Raises:
        SettingsError: it is none.
    """
    match = _ADDRESS.fullmatch(text)
    if match is None or {".", ".."} & set(match[2].split("/")):
        shown = re.sub("//[^/]*@", "//...@", text)
        raise SettingsError(
            f"{shown!r} is no place for a workspace: name a folder or s3://bucket/prefix, and give endpoint and "
            "credentials by AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )
    return match[1], match[2].strip("/")


class ObjectStore:
    """The objects under one prefix."""

    def __init__(self, address: str) -> None:
        """Name the place; nothing is asked of it yet.

        Raises:
            EnvironmentFault: s3fs is not installed.
        """
        self.bucket, self.prefix = parse_address(address)
        self.address = address
        self._files = _file_system(
            endpoint(), os.environ.get("AWS_ACCESS_KEY_ID", ""), os.environ.get("AWS_PROFILE", "")
        )
        self._patience = Patience(address, self.bucket)
        self._conditional = True
        self._lock = threading.Lock()

    def reach(self) -> None:
        """Ask for anything at all.

        Raises:
            SettingsError: there is no such bucket.
            EnvironmentFault: it may not be read, or no credentials were given.
            ResourceError: nothing answers.
        """
        self._call("list_objects_v2", Prefix=self._key(""), MaxKeys=1)

    def entries(self, under: str = "") -> dict[str, Entry]:
        """Every object whose name begins with some text."""
        found: dict[str, Entry] = {}
        more: dict[str, str] = {}
        while True:
            page = self._call("list_objects_v2", Prefix=self._key(under), **more)
            for item in page.get("Contents", ()):
                name = item["Key"][len(self._key("")) :]
                if _is_plain(name):
                    found[name] = _entry(item["Size"], item["ETag"], item["LastModified"])
            if not page.get("IsTruncated"):
                return found
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def entry(self, name: str) -> Entry | None:
        """One object with its digest; None where it is not there."""
        try:
            head = self._call("head_object", Key=self._key(name), ChecksumMode="ENABLED")
        except FileNotFoundError:
            return None
        return _entry(head["ContentLength"], head["ETag"], head["LastModified"], _told_digest(head))

    def read(self, name: str) -> tuple[bytes, str] | None:
        """Bytes and etag of a small object; None where it is not there."""

        def get() -> tuple[bytes, str]:
            reply = self._files.call_s3("get_object", Bucket=self.bucket, Key=self._key(name))
            return _body(self._files, reply), str(reply["ETag"]).strip('"')

        try:
            return self._patience.call(get)
        except FileNotFoundError:
            return None

    def fetch(self, name: str, to: Path) -> bool:
        """Copy an object into a file; False where it is not there."""
        try:
            self._patience.call(lambda: self._files.get_file(f"{self.bucket}/{self._key(name)}", str(to)))
        except FileNotFoundError:
            return False
        return True

    def write(self, name: str, data: bytes, replaces: str | Literal["anything", "nothing"] = "anything") -> str | None:
        """Put a small object; its etag, or None where the store holds another one than is to be replaced.

        Args:
            name: of the object.
            data: its bytes.
            replaces: etag of the one that it may replace. Stores that know no conditions replace anything.
        """
        conditions: dict[str, dict[str, str]] = {"anything": {}, "nothing": {"IfNoneMatch": "*"}}
        condition = conditions.get(replaces, {"IfMatch": replaces}) if self._conditional else {}
        try:
            reply = self._call("put_object", Key=self._key(name), Body=data, **condition)
        except OSError as error:
            if condition and code_of(error) in ("PreconditionFailed", "412", "404", "NoSuchKey"):
                return None
            if not condition or code_of(error) not in ("NotImplemented", "501"):
                raise
            self._conditional = False
            return self.write(name, data, replaces)
        return str(reply["ETag"]).strip('"')

    def send(self, path: Path, name: str, sha256: str) -> Entry | None:
        """Put a file of known digest, unless the very same is there already; what the store then says of it."""
        held = self.entry(name)
        if held is not None and held.sha256 == sha256 and held.size == path.stat().st_size:
            return held
        about = {"Metadata": {"sha256": sha256}}
        if path.stat().st_size > _LARGEST_SINGLE_PUT:
            target = f"{self.bucket}/{self._key(name)}"
            self._patience.call(
                lambda: self._files.put_file(str(path), target, chunksize=_PART_BYTES, max_concurrency=4, **about)
            )
            return self.entry(name)
        checksum = {"ChecksumAlgorithm": "SHA256", "ChecksumSHA256": base64.b64encode(bytes.fromhex(sha256)).decode()}
        condition = {"IfNoneMatch": "*"} if held is None and self._conditional else {}
        try:
            etag = self._patience.call(lambda: self._put_file(path, name, {**about, **checksum, **condition}))
            return Entry(path.stat().st_size, etag, time.time(), sha256)
        except OSError as error:
            if not condition or code_of(error) not in ("PreconditionFailed", "412", "NotImplemented", "501"):
                raise
            self._conditional = code_of(error) in ("PreconditionFailed", "412")
            return self.send(path, name, sha256)  # somebody was faster, or the store knows no conditions

    def _put_file(self, path: Path, name: str, more: dict[str, Any]) -> str:
        with path.open("rb") as body:
            reply = self._files.call_s3("put_object", Bucket=self.bucket, Key=self._key(name), Body=body, **more)
        return str(reply["ETag"]).strip('"')

    def delete(self, names: Iterable[str]) -> None:
        """Remove objects; one that is not there is no fault."""
        self.each(lambda name: self._call("delete_object", Key=self._key(name)), names)

    def each(self, call: Callable[[str], T], names: Iterable[str]) -> list[T]:
        """What a call gives for each name, several at a time."""
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return list(pool.map(call, names))

    def _key(self, name: str) -> str:
        return f"{self.prefix}/{name}" if self.prefix else name

    def _call(self, method: str, **arguments: Any) -> Any:
        return self._patience.call(lambda: self._files.call_s3(method, Bucket=self.bucket, **arguments))


@cache
def _file_system(url: str, _user: str, _profile: str) -> Any:
    """s3fs without a memory of its own, one for all that one user asks of one store; it finds the secret by itself."""
    try:
        import s3fs
    except ImportError as error:
        raise EnvironmentFault("a workspace on s3:// needs s3fs: pip install 'faceswap-pipeline[s3]'") from error
    if "@" in url:
        raise SettingsError("AWS_ENDPOINT_URL holds a password: give credentials by AWS_ACCESS_KEY_ID and the like")
    files = s3fs.S3FileSystem(
        endpoint_url=url or None,
        use_listings_cache=False,
        skip_instance_cache=True,
        config_kwargs={"connect_timeout": 5, "read_timeout": 20, "retries": {"max_attempts": 0}},
    )
    files.retries = 1  # how long to go on trying is decided here
    return files


def _body(files: Any, reply: Any) -> bytes:
    from fsspec.asyn import sync

    data: bytes = sync(files.loop, reply["Body"].read)
    return data


def _is_plain(name: str) -> bool:
    """True for a name that is a path below a folder; whoever can write to the bucket chooses names."""
    return not {"", ".", ".."} & set(name.split("/")) and "\\" not in name and "\0" not in name


def _entry(size: int, etag: str, modified: Any, sha256: str | None = None) -> Entry:
    return Entry(size, etag.strip('"'), modified.timestamp(), sha256)


def _told_digest(head: Any) -> str | None:
    """What the store computed when the object came in, else what its writer noted beside it."""
    checksum = head.get("ChecksumSHA256")
    if checksum and "-" not in checksum:
        return base64.b64decode(checksum).hex()
    noted = head.get("Metadata", {}).get("sha256")
    return str(noted) if noted else None
