"""Column types Postgres has and SQLAlchemy does not name."""

from typing import Any

from sqlalchemy import Row
from sqlalchemy.types import UserDefinedType

# A row of whatever columns; `Row[Any]` would be a row of one.
AnyRow = Row[*tuple[Any, ...]]


class Xid8(UserDefinedType[int]):
    """A 64-bit transaction id (`xid8`): a Python int on both sides."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "xid8"

    def bind_processor(self, dialect: Any) -> Any:
        return lambda value: None if value is None else str(value)

    def bind_expression(self, bindvalue: Any) -> Any:
        from sqlalchemy import Text, cast, type_coerce

        return type_coerce(cast(type_coerce(bindvalue, Text), _Xid8Spec()), self)

    def result_processor(self, dialect: Any, coltype: object) -> Any:
        return lambda value: None if value is None else int(value)


class _Xid8Spec(UserDefinedType[int]):
    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "xid8"
