"""A customer's order history: theirs alone, in order, filtered and walked as orders are."""

from typing import Any

from tests.fixtures.api import Shop


def test_the_history_is_the_customers_own(shop: Shop) -> None:
    variant_id = shop.product(quantity=50)["variants"][0]["id"]
    line = {"variant_id": variant_id, "quantity": 1}
    ada, ben = (
        shop.api.post("/api/v1/customers", {"first_name": name}).json["id"]
        for name in ("Ada", "Ben")
    )
    placed: dict[str, list[str]] = {ada: [], ben: []}
    for number in range(8):
        buyer = ben if number == 3 else ada
        channel = "pos" if number > 5 else "web"
        body = {"lines": [line], "customer_id": buyer, "channel": channel}
        placed[buyer].insert(0, shop.api.post("/api/v1/orders", body).json["id"])
    shop.order((variant_id, 1))
    path = f"/api/v1/customers/{ada}/orders"
    seen: list[str] = []
    query: dict[str, Any] = {"limit": 3}
    while True:
        page = shop.api.get(path, query=query).json
        seen += [order["id"] for order in page["data"]]
        if not page["page_info"]["has_next_page"]:
            break
        query["after"] = page["page_info"]["end_cursor"]
    assert seen == placed[ada]
    of_ben = shop.api.get(f"/api/v1/customers/{ben}/orders").json["data"]
    assert [order["id"] for order in of_ben] == placed[ben]
    till = shop.api.get(path, query={"channel": "pos", "include_total": "true"}).json
    assert (till["total"], len(till["data"])) == (2, 2)
    # as the list of orders shows them
    listed = shop.api.get("/api/v1/orders", query={"customer_id": ada}).json["data"]
    assert shop.api.get(path).json["data"] == listed
    # a cursor of one history is none of another's
    other = shop.api.get(f"/api/v1/customers/{ben}/orders", query={"after": query["after"]})
    assert (other.status, other.code) == (400, "invalid_cursor")
    refused = shop.api.get(path, query={"customer_id": ben})
    assert refused.code == "unknown_parameter"
