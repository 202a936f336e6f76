"""What a log of refused rows lists and counts."""

from shop_api.bulk.rejects import Reject, RejectLog


def reject(column: str | None, reason: str, row: int = 4) -> Reject:
    return Reject("goods.csv", row, column, reason)


def test_a_row_is_listed_for_each_value_that_cannot_be_read_once() -> None:
    price = reject("Price", "'abc' is not an amount")
    quantity = reject("Qty", "'-3' is not a whole number")
    log = RejectLog()
    log.add("products", 1, [price], are_values=True)
    # the variants read the same column
    log.add("variants", 1, [price], are_values=True)
    log.add("stock", 1, [quantity], are_values=True)
    assert log.kept == [price, quantity]
    assert (log.total, log.counts) == (3, {"products": 1, "variants": 1, "stock": 1})


def test_what_a_check_finds_is_listed_where_nothing_else_is_said_of_the_row() -> None:
    price = reject("Price", "'abc' is not an amount")
    follows, other = (reject("Handle", "there is no such product", row) for row in (4, 5))
    log = RejectLog()
    log.add("products", 1, [price], are_values=True)
    log.add("variants", 2, [follows, other])
    assert log.kept == [price, other]


def test_no_more_are_kept_than_there_is_room_for() -> None:
    log = RejectLog(limit=2)
    log.add("products", 5, [reject("Price", "no amount", row) for row in range(5)])
    assert [kept.row for kept in log.kept] == [0, 1]
    assert (log.total, log.room) == (5, 0)
