"""Filters of lists that bound from below and from above: bounds that cross leave nothing."""

import pytest

from tests.factories.operations import operations
from tests.fixtures.api import Shop

BOUNDED = [
    ("products", ("min_price", "max_price"), ("20", "10")),
    *[
        (
            path,
            (f"{name}_after", f"{name}_before"),
            ("2026-01-02T00:00:00Z", "2026-01-01T23:59:59Z"),
        )
        for path, name in (
            ("products", "created"),
            ("products", "updated"),
            ("orders", "placed"),
            ("orders", "updated"),
            ("customers", "created"),
            ("customers", "updated"),
            ("audit_log", "created"),
            ("webhook_deliveries", "created"),
            ("inventory/movements", "created"),
        )
    ],
]


@pytest.mark.parametrize(("path", "names", "values"), BOUNDED)
def test_bounds_that_cross_are_told(
    shop: Shop, path: str, names: tuple[str, str], values: tuple[str, str]
) -> None:
    lower, upper = names
    query = dict(zip(names, values, strict=True))
    refused = shop.api.get(f"/api/v1/{path}", query=query)
    assert (refused.status, refused.code) == (400, "invalid_parameter")
    told = f"The bounds cross: must not be beyond {upper}."
    assert refused.json["errors"] == [{"pointer": lower, "detail": told}]
    # with nothing between them, or only one of them, it is a question
    for asked in ({lower: values[0], upper: values[0]}, {lower: values[0]}, {upper: values[1]}):
        assert shop.api.get(f"/api/v1/{path}", query=asked).status == 200


def test_every_pair_of_bounds_is_looked_at() -> None:
    pairs = {
        (operation.path.removeprefix("/api/v1/"), lower, upper)
        for operation in operations()
        for lower in operation.parameters
        for upper in operation.parameters
        # those below one subject are asked as the whole list is
        if "{" not in operation.path
        and (
            (lower.endswith("_after") and upper == lower.replace("_after", "_before"))
            or (lower.startswith("min_") and upper == lower.replace("min_", "max_"))
        )
    }
    assert pairs == {(path, *names) for path, names, _ in BOUNDED}
