"""Where the lake lies: a folder or a bucket, and the small objects that are read and written whole.

Belongs here: opening the place, and errors of an object store as those of a file. Does not: what
the objects mean (manifest.py, leases.py), Delta logs (lake.py) and scanning Parquet, for which
DuckDB and Polars have readers of their own.

Credentials that are not given are looked for as AWS' own tools do: AWS_* in the environment, the
role of the machine or the pod.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import obstore
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import LocalStore, S3Store

if TYPE_CHECKING:
    from obstore.store import RetryConfig

REMOTE = "s3://"
# A bucket that is away is told of within a second, and one that does not answer within some twelve.
RETRY: "RetryConfig" = {"max_retries": 3, "retry_timeout": timedelta(seconds=15)}
CONNECT_TIMEOUT = "3s"
# An option of the client, not of the bucket.
ALLOW_HTTP = "aws_allow_http"


# What to look at, by a word of the client's error; the first that is found.
ADVICE = {
    "dns error": "No host has the endpoint's name: look at SHOP_LAKE_ENDPOINT_URL.",
    "Connection refused": "Nothing listens there: is the object store up, and"
    " SHOP_LAKE_ENDPOINT_URL its address?",
    "169.254.169.254": "No credentials were given, and this machine has no role: set"
    " SHOP_LAKE_ACCESS_KEY_ID and SHOP_LAKE_SECRET_ACCESS_KEY, or AWS_PROFILE's own.",
    "NoSuchBucket": "There is no such bucket: look at SHOP_LAKE_URL.",
    "SignatureDoesNotMatch": "The secret is another's: look at SHOP_LAKE_SECRET_ACCESS_KEY.",
    "InvalidAccessKeyId": "The store knows no such key: look at SHOP_LAKE_ACCESS_KEY_ID.",
    "status code: 403 Forbidden": "The credentials do not allow it: docs/guides/analysts.md has the"
    " rights one needs.",
    "UnknownConfigurationKey": "Name options as Polars does: aws_region, aws_endpoint_url, …",
    "operation timed out": "It does not answer: is it up, and reachable from here?",
}


class StoreError(OSError):
    """The object store does not answer, or not as it should."""


class Found(NamedTuple):
    """An object of a listing."""

    key: str
    size_bytes: int
    modified_at: datetime


class Store:
    """A lake's place. Keys are paths below it; safe to share between threads."""

    def __init__(self, location: str, options: Mapping[str, str] | None = None) -> None:
        self.is_remote = location.startswith(REMOTE)
        if "://" in location and not self.is_remote:
            raise ValueError(f"the lake is a folder or s3://bucket/path, not {location!r}")
        self.location = location.rstrip("/") if self.is_remote else str(Path(location).resolve())
        # as deltalake and Polars take them; nothing for a folder
        self.options = dict(options or {}) if self.is_remote else None

    def uri(self, key: str) -> str:
        """The whole name of an object: a path, or a URL."""
        return f"{self.location}/{key}"

    def key(self, uri: str) -> str:
        """The other way."""
        return uri.removeprefix(f"{self.location}/")

    def read(self, key: str) -> bytes:
        """Raises FileNotFoundError, and other OSErrors as they come."""
        with _as_os_error(key):
            return obstore.get(self._objects, key).bytes().to_bytes()

    def write(self, key: str, content: bytes | memoryview) -> None:
        """Make or replace an object; whoever reads it sees the old one or the new."""
        if not self.is_remote:
            Path(self.location).mkdir(parents=True, exist_ok=True)
        with _as_os_error(key):
            # parts of their own are for larger objects than the lake's
            obstore.put(self._objects, key, content, use_multipart=False)

    def download(self, key: str, target: Path) -> None:
        """An object into a new file, a piece at a time."""
        with _as_os_error(key), target.open("xb") as file:
            for piece in obstore.get(self._objects, key):
                file.write(piece)

    def delete(self, key: str) -> None:
        """What is not there is deleted already."""
        try:
            with _as_os_error(key):
                obstore.delete(self._objects, key)
        except FileNotFoundError:
            return

    def listing(self, folder: str) -> Iterator[Found]:
        """All objects below a folder."""
        if not self.is_remote and not Path(self.uri(folder)).is_dir():
            return
        with _as_os_error(folder):
            for page in obstore.list(self._objects, folder):
                for found in page:
                    yield Found(found["path"], found["size"], found["last_modified"])

    def tag(self, key: str) -> str | None:
        """Changes when an object is written anew; None where there is none."""
        try:
            with _as_os_error(key):
                head = obstore.head(self._objects, key)
        except FileNotFoundError:
            return None
        return f"{head['e_tag']} {head['last_modified'].isoformat()}"

    def now(self, key: str) -> datetime:
        """The store's own time: that of an empty object which this writes."""
        self.write(key, b"")
        with _as_os_error(key):
            written_at: datetime = obstore.head(self._objects, key)["last_modified"]
        return written_at

    @cached_property
    def _objects(self) -> LocalStore | S3Store:
        """Opened with the first object: a forked process opens its own."""
        if self.options is None:
            if not Path(self.location).is_dir():
                raise FileNotFoundError(f"there is no folder {self.location}")
            return LocalStore(self.location)
        config = {name: value for name, value in self.options.items() if name != ALLOW_HTTP}
        return S3Store.from_url(
            self.location,
            config=config,  # type: ignore[arg-type]
            client_options={
                "allow_http": self.options.get(ALLOW_HTTP) == "true",
                "connect_timeout": CONNECT_TIMEOUT,
            },
            retry_config=RETRY,
        )


@contextmanager
def _as_os_error(key: str) -> Iterator[None]:
    try:
        yield
    except (PermissionDeniedError, UnauthenticatedError) as error:
        raise PermissionError(f"no right to {key}: {in_words(error)}") from error
    except BaseError as error:
        raise StoreError(f"{key}: {in_words(error)}") from error


def in_words(error: BaseError) -> str:
    """What an object store's client says without the dump of its own parts, and what to look at."""
    said, _, dump = str(error).partition("\n\nDebug source:")
    for sign, advice in ADVICE.items():
        if sign in dump or sign in said:
            return f"{said.strip()}. {advice}"
    return said.strip()
