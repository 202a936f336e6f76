"""Schemathesis over the OpenAPI document: all its checks on generated requests, by a fixed seed."""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import CheckContext
from schemathesis.config import SchemathesisConfig
from schemathesis.core.result import Err
from schemathesis.generation.feedback import FeedbackSources
from schemathesis.generation.hypothesis import builder
from schemathesis.pytest._test_builder import build_operation_test
from schemathesis.python._constants.orchestrator import make_constants_value_source
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import positive_data_acceptance

from pipelines.context import LakeContext
from pipelines.runner import run_export
from shop_api.app import App, create_app, make_document
from tests.fixtures.api import PLATFORM_KEY, ApiClient, open_shop
from tests.fixtures.lake import new_lake
from tests.fixtures.stores import Database

# of each operation; `make fuzz` asks for a hundred, which takes minutes
MAX_EXAMPLES = int(os.environ.get("SHOP_TEST_EXAMPLES", "3"))

# of a URL (CONTRACT §1)
MAX_PARAMETERS = 50
# What a schema cannot say: references that must exist, rules of values and between fields, the
# present state.
REASONS = {
    "card_number_needed",
    "card_number_not_taken",
    "amount_too_large",
    "bounds_cross",
    "category_not_found",
    "channel_of_session",
    "customer_not_found",
    "event_incomplete",
    "discount_not_found",
    "empty_window",
    "expired_already",
    "idempotency_key_reused",
    "inexact_amount",
    "invalid_cursor",
    "invalid_import_file",
    "invalid_mapping",
    "items_refused",
    "inventory_of_variants",
    "line_not_found",
    "location_not_found",
    "not_only_products",
    "option_named_twice",
    "options_repeated",
    "own_currency",
    "payment_not_found",
    "precondition_failed",
    "preset_or_mapping",
    "reference_not_taken",
    "scope_not_allowed",
    "session_not_found",
    "snapshot_gone",
    "snapshot_not_found",
    "unanswerable",
    "shipping_rate_not_found",
    "url_not_allowed",
    "value_missing",
    "value_of_another_kind",
    "variant_not_found",
    "wrong_currency",
}
RULES = {
    "Converted figures are in USD, the shop's own currency.",
    "Send `period`, or `from` and `to`, not both.",
    "`from` and `to` go together: send both.",
    "`from` must be before `to`: the day `to` is not in the period.",
    "`from` and `to` must lie between 1970-01-01 and 2100-01-01.",
    "The period has more than 5000 points: ask for a longer `interval` or a shorter period.",
    "A code is there twice; upper and lower case are the same.",
    "At most 4 decimals: no currency has more.",
    "At most 4 digits after the decimal point.",
    "Must be an IANA timezone, such as Europe/Rome.",
    "At most 6 digits after the decimal point.",
    "At most 10 digits after the decimal point.",
    "Must be an e-mail address.",
    "A line may be named once.",
    "A GET has no body.",
    "A batch holds no batch.",
    "A product may be named once.",
    "A variant and location may be named once.",
    "Must be a web address: http:// or https://.",
    "Send either lines and shipping_amount, or amount.",
    "Send either delta or quantity.",
    "Use either after or before/last.",
    "Use either first or before.",
    "Use either offset or after/before/last.",
    "Use only one of limit, first and last.",
} | {
    f"The bounds cross: must not be beyond {upper}."
    for upper in ("max_price", "created_before", "updated_before", "placed_before")
}


ASK = settings(max_examples=MAX_EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))


# set where requests could not be made of what the document says
UNTESTED = (
    *(builder.InvalidHeadersExampleMark, builder.InvalidRegexMark, builder.MissingPathParameters),
    *(builder.NonSerializableMark, builder.UnsatisfiableExampleMark),
    builder.UnserializablePayloadMark,
)


class Door:
    """The application, which exists only while the tests of this module run."""

    app: App

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        found: Iterable[bytes] = self.app(environ, start_response)
        return found


# Statuses that refuse what a schema does not allow: schemathesis' own, and a URL too long.
REFUSALS = [400, 401, 403, 404, 405, 406, 409, 414, 415, 422, 428, 429, "5xx"]

# asked with the platform key
OF_THE_PLATFORM = ("/api/v1/tenants", "/api/v1/pipeline_runs")

door = Door()
schema = schemathesis.openapi.from_dict(
    make_document(),
    config=SchemathesisConfig.from_dict(
        {
            "seed": 20260101,
            "generation": {"deterministic": True, "max-examples": MAX_EXAMPLES},
            "checks": {"negative_data_rejection": {"expected-statuses": REFUSALS}},
        }
    ),
)
schema.app = door
FEEDBACK = FeedbackSources(constants_value_source=make_constants_value_source(schema))


@schema.hook
def filter_query(context: schemathesis.HookContext, query: dict[str, Any] | None) -> bool:
    """Pass over a single value for a repeatable parameter: in a URL it is a list of one."""
    assert context.operation is not None
    lists = {
        parameter.name
        for parameter in context.operation.query
        if parameter.definition.get("schema", {}).get("type") == "array"
    }
    return all(isinstance(value, list) for name, value in (query or {}).items() if name in lists)


@schema.hook
def filter_case(_: schemathesis.HookContext, case: schemathesis.Case) -> bool:
    """Pass over more parameters than a URL may have, before anything else of it is looked at: rows
    have as many filters.
    """
    query = case.query or {}
    count = sum(len(value) if isinstance(value, list) else 1 for value in query.values())
    return count <= MAX_PARAMETERS


def valid_data_is_refused_only_for_a_reason(
    _: CheckContext, response: schemathesis.Response, case: schemathesis.Case
) -> None:
    """In place of schemathesis' own check, which takes every 422 for a schema not kept."""
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    if response.status_code not in (400, 412, 422):
        return
    problem = response.json()
    details = {error["detail"] for error in problem.get("errors", [])}
    is_rule = bool(details) and details <= RULES
    assert problem["code"] in REASONS or is_rule, f"valid data refused: {problem}"


@pytest.fixture(scope="module")
def lake(database: Database, tmp_path_factory: pytest.TempPathFactory) -> LakeContext:
    return new_lake(database, tmp_path_factory.mktemp("lake"))


@pytest.fixture(scope="module")
def app(
    database: Database, redis_url: str, lake: LakeContext, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[App]:
    """An application that reads the lake of this module."""
    settings = database.settings(
        tmp_path_factory.mktemp("data"),
        redis_url,
        lake_url=lake.location,
        credential_cache_seconds=600.0,
        log_level="WARNING",
    )
    built = create_app(settings)
    yield built
    built.close()


@pytest.fixture(scope="module")
def token(app: App, api: ApiClient, lake: LakeContext) -> str:
    """The secret key of a shop of the application."""
    door.app = app
    shop = open_shop(api)
    assert shop.order((shop.product()["variants"][0]["id"], 1)).status == 201
    outcome = run_export(lake, datetime.now(UTC))
    assert outcome.snapshot is not None
    while app.lake.snapshot().id < outcome.snapshot.id:
        time.sleep(0.005)
    assert shop.api.token is not None
    return shop.api.token


def keeps_its_word(case: schemathesis.Case, token: str) -> None:
    """What each generated request is held to."""
    is_of_platform = case.operation.path.startswith(OF_THE_PLATFORM)
    bearer = PLATFORM_KEY if is_of_platform else token
    case.call_and_validate(
        headers={"Authorization": f"Bearer {bearer}", "Accept-Encoding": "identity"},
        excluded_checks=[positive_data_acceptance],
        additional_checks=[valid_data_is_refused_only_for_a_reason],
    )


def all_operations() -> Iterator[APIOperation]:
    """Those of the document; one it does not describe as it must fails them all."""
    for found in schema.get_all_operations():
        if isinstance(found, Err):
            raise found.err()
        yield found.ok()


@pytest.mark.parametrize("operation", all_operations(), ids=lambda operation: operation.label)
def test_every_operation_keeps_its_word(operation: APIOperation, token: str) -> None:
    """As `schema.parametrize()` would, which makes the requests of all operations while pytest
    collects: 14 s of each of xdist's processes, of which one asks.
    """
    test = build_operation_test(
        config=schema.config,
        operation=operation,
        test_func=keeps_its_word,
        given_kwargs={},
        feedback=FEEDBACK,
        explicit_settings=ASK,
    )
    assert not [mark for mark in UNTESTED if mark.is_set(test)]
    test(token=token)
