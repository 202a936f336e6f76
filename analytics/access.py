"""How a process comes to a lake: its place, the bucket's credentials, and room for its files here.

Belongs here: the settings of the lake, as the environment of a notebook gives them. Does not: those
of the services (shop_api/settings.py), which have the same names and hand them over.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from analytics.mirror import Mirror
from analytics.store import Store

# Option of the object store, as deltalake and Polars name it → the variable that sets it.
OPTION_VARIABLES = {
    "aws_endpoint_url": "SHOP_LAKE_ENDPOINT_URL",
    "aws_region": "SHOP_LAKE_REGION",
    "aws_access_key_id": "SHOP_LAKE_ACCESS_KEY_ID",
    "aws_secret_access_key": "SHOP_LAKE_SECRET_ACCESS_KEY",
}
# below the data folder
MIRROR_FOLDER = "lake_mirror"
MIRROR_BYTES = 4 * 1024**3


@dataclass(frozen=True)
class LakeAccess:
    """A lake's place and the means to read it."""

    location: str
    storage_options: Mapping[str, str] = field(default_factory=dict, repr=False)
    # where files of a bucket are kept for DuckDB, and about how much of them
    mirror_folder: Path = Path("var") / MIRROR_FOLDER
    mirror_bytes: int = MIRROR_BYTES

    def store(self) -> Store:
        return Store(self.location, self.storage_options)

    def mirror(self, store: Store) -> Mirror | None:
        """None for a folder, whose files are here already."""
        return Mirror(store, self.mirror_folder, self.mirror_bytes) if store.is_remote else None


class LakeSettings(Protocol):
    """What of the services' settings is about the lake's place."""

    @property
    def lake_location(self) -> str: ...
    @property
    def data_dir(self) -> Path: ...
    @property
    def lake_endpoint_url(self) -> str | None: ...
    @property
    def lake_region(self) -> str | None: ...
    @property
    def lake_access_key_id(self) -> str | None: ...
    @property
    def lake_secret_access_key(self) -> str | None: ...
    @property
    def lake_mirror_bytes(self) -> int: ...


def access_of(settings: LakeSettings) -> LakeAccess:
    """The lake that a service's settings name."""
    given = {
        "aws_endpoint_url": settings.lake_endpoint_url,
        "aws_region": settings.lake_region,
        "aws_access_key_id": settings.lake_access_key_id,
        "aws_secret_access_key": settings.lake_secret_access_key,
    }
    return LakeAccess(
        settings.lake_location,
        with_http({name: value for name, value in given.items() if value}),
        settings.data_dir / MIRROR_FOLDER,
        settings.lake_mirror_bytes,
    )


def access_from_environment(
    location: str | Path | None = None, environment: Mapping[str, str] = os.environ
) -> LakeAccess:
    """The lake that the variables name, or the one at `location` with their credentials."""
    data_folder = Path(environment.get("SHOP_DATA_DIR") or "var")
    named = location or environment.get("SHOP_LAKE_URL") or data_folder / "lake"
    options = {
        option: value
        for option, variable in OPTION_VARIABLES.items()
        if (value := environment.get(variable))
    }
    return LakeAccess(
        str(named),
        with_http(options),
        data_folder / MIRROR_FOLDER,
        int(environment.get("SHOP_LAKE_MIRROR_BYTES") or MIRROR_BYTES),
    )


def with_http(options: Mapping[str, str]) -> dict[str, str]:
    """The options, allowing plain HTTP where the endpoint says it."""
    if options.get("aws_endpoint_url", "").startswith("http://"):
        return {**options, "aws_allow_http": "true"}
    return dict(options)
