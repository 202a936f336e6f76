"""The memory of kept answers, and the keys they are kept under."""

import time
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, urlencode
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from shop_api.gateway.kept_answers import ENTRY_OVERHEAD_BYTES, KeptAnswer, KeptAnswers, Key
from shop_api.gateway.purges import Purge
from shop_api.gateway.response_cache import digest_of, in_order, key_of, without_real_time
from shop_api.kernel.api_versions import NEWEST
from shop_api.kernel.cache_policy import CachePolicy
from shop_api.kernel.exchange import Answer
from shop_api.kernel.principal import Principal
from shop_api.kernel.rate_limits import PLAN_LIMITS
from shop_api.web.cached_routes import CachedRoutes

NOW = datetime(2030, 1, 1, tzinfo=UTC)
TENANT = UUID("01936d2e-7c1a-7b3f-8e5d-0a1b2c3d4e5f")
READER = Principal(TENANT, "user:1", frozenset({"a", "b"}), PLAN_LIMITS["free"])
LIMIT = 5 * ENTRY_OVERHEAD_BYTES


def entry(size: int) -> KeptAnswer:
    answer = Answer(200, [], b"x" * size)
    until = NOW + timedelta(seconds=100)
    return KeptAnswer(answer, "1", until, until, NOW, None, False, READER, NEWEST, "/", "")


def place(path: object) -> Key:
    return ("audience", NEWEST, f"/{path}", "")


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["keep", "use", "replace"]),
            st.integers(0, 7),
            st.integers(0, ENTRY_OVERHEAD_BYTES),
        ),
        max_size=60,
    ),
    st.integers(0, 60),
)
def test_the_least_recently_used_go_and_the_bytes_are_bounded(
    steps: list[tuple[str, int, int]], since: int
) -> None:
    kept = KeptAnswers(LIMIT)
    # key → entry, those used last at the end
    model: dict[int, KeptAnswer] = {}
    for number, (step, key, size) in enumerate(steps):
        now = NOW + timedelta(seconds=number)
        if step != "use":
            new = entry(size)
            new.asked_at = now
            if step == "keep":
                kept.keep(place(key), new)
                model.pop(key, None)
                model[key] = new
            else:
                kept.replace(place(key), new)
                if key in model:
                    assert new.asked_at == model[key].asked_at
                    model[key] = new
            while sum(e.size_bytes for e in model.values()) > LIMIT:
                del model[next(iter(model))]
        elif key in model:
            found = kept.find(place(key))
            assert found is model[key]
            kept.use(place(key), found, now)
            assert found.asked_at == now
            model[key] = model.pop(key)
        assert len(kept) == len(model)
        assert kept.size_bytes == sum(e.size_bytes for e in model.values()) <= LIMIT
        after = NOW + timedelta(seconds=since)
        for moment in (NOW - timedelta(seconds=1), after):
            newest_first = [e for e in reversed(model.values()) if e.asked_at > moment]
            assert kept.asked_after(moment) == newest_first
        for at in range(8):
            assert kept.find(place(at)) is model.get(at)


def test_one_that_is_larger_than_all_takes_nothing_s_place() -> None:
    kept = KeptAnswers(LIMIT)
    kept.keep(place("a"), entry(10))
    kept.keep(place("b"), entry(LIMIT))
    assert kept.find(place("a")) is not None
    assert kept.find(place("b")) is None


def test_a_question_answered_with_what_was_made_again_meanwhile_counts_for_the_new_one() -> None:
    kept, old, new = KeptAnswers(LIMIT), entry(10), entry(10)
    kept.keep(place("a"), old)
    kept.keep(place("b"), entry(10))
    kept.replace(place("a"), new)
    kept.use(place("a"), old, NOW + timedelta(seconds=1))
    assert kept.asked_after(NOW) == [new]


def test_what_was_asked_for_long_ago_is_not_looked_at() -> None:
    kept = KeptAnswers(1_000_000_000)
    for number in range(10_000):
        kept.keep(place(number), entry(10))

    def seconds(since: datetime, found: int) -> float:
        started = time.perf_counter()
        assert len(kept.asked_after(since)) == found
        return time.perf_counter() - started

    all_seconds = min(seconds(NOW - timedelta(seconds=1), 10_000) for _ in range(5))
    assert min(seconds(NOW, 0) for _ in range(5)) < all_seconds / 20


def test_its_forms_are_kept_while_its_status_moves() -> None:
    one = entry(10)
    first = one.give(NOW)
    first.forms["zstd"] = Answer(200, [*first.headers, ("Content-Encoding", "zstd")], b"z")
    assert one.give(NOW + timedelta(milliseconds=-1)) is first
    later = one.give(NOW + timedelta(seconds=40))
    for form in (later, later.forms["zstd"]):
        assert form.header("Cache-Status") == "shop-api; hit; ttl=60; detail=memory"
    assert later.forms["zstd"].body == b"z"
    assert first.header("Cache-Status") == "shop-api; hit; ttl=100; detail=memory"


NAMES = st.sampled_from(["a", "b", "real", "real_times", "c"])
PAIRS = st.lists(st.tuples(NAMES, st.text(max_size=4)), max_size=6)


@given(PAIRS, st.randoms())
def test_only_the_order_of_one_name_s_values_matters(
    pairs: list[tuple[str, str]], r: object
) -> None:
    query = urlencode(pairs)
    assert sorted(parse_qsl(in_order(query), keep_blank_values=True)) == sorted(pairs)
    by_name = {name: [v for n, v in pairs if n == name] for name, _ in pairs}
    shuffled = [(name, value) for name in sorted(by_name, reverse=True) for value in by_name[name]]
    assert in_order(urlencode(shuffled)) == in_order(query)


@given(PAIRS, st.integers(0, 6), st.sampled_from(["true", "false", "1", ""]))
def test_real_time_is_taken_out_of_the_key_and_nothing_else(
    pairs: list[tuple[str, str]], place: int, value: str
) -> None:
    asked = [*pairs[:place], ("real_time", value), *pairs[place:]]
    wants_now, rest = without_real_time(urlencode(asked))
    assert wants_now is (value != "false")
    if not wants_now:
        assert rest == in_order(urlencode(pairs))


TEXT = st.text(max_size=5)


@given(st.tuples(TEXT, TEXT, st.frozensets(TEXT)), st.tuples(TEXT, TEXT, st.frozensets(TEXT)))
def test_different_keys_have_different_digests(
    one: tuple[str, str, frozenset[str]], other: tuple[str, str, frozenset[str]]
) -> None:
    def digest(of: tuple[str, str, frozenset[str]]) -> str:
        path, query, scopes = of
        reader = Principal(TENANT, "user:1", scopes, PLAN_LIMITS["free"])
        return digest_of(key_of(reader, NEWEST, path, query))

    assert (digest(one) == digest(other)) == (one == other)


def test_a_route_s_policy_is_found_by_its_paths_alone() -> None:
    listed, single = CachePolicy(1), CachePolicy(2)
    routes = CachedRoutes([("/products", listed), ("/products/<id:product_id>", single)])
    assert routes.find("/products") is listed
    assert routes.find(f"/products/{TENANT}") is single
    for other in (
        "/products/",
        "/products/bulk-update",
        f"/products/{TENANT}/variants",
        "/product",
    ):
        assert routes.find(other) is None


def test_a_purge_means_a_tenant_and_paths() -> None:
    other = UUID(int=1)
    all_of_all, one = Purge("1", 0), Purge("2", 0, TENANT, "/api/v1/products*")
    assert all_of_all.means(other, "/")
    assert one.means(TENANT, "/api/v1/products/7")
    assert not one.means(TENANT, "/api/v1/search")
    assert not one.means(other, "/api/v1/products")
