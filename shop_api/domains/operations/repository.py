"""Asking Postgres whether it answers, and how far the lake is."""

from datetime import datetime

from sqlalchemy import Connection, select

from shop_api.models import lake_snapshots


def find_lake_as_of(connection: Connection) -> datetime | None:
    """Before when everything is in the published lake; None while nothing was published."""
    newest = select(lake_snapshots.c.as_of).order_by(lake_snapshots.c.id.desc()).limit(1)
    found: datetime | None = connection.execute(newest).scalar()
    return found
