"""Stock levels are listed by variant and location."""

from tests.fixtures.api import Shop


def test_stock_is_walked_by_variant_and_location(shop: Shop) -> None:
    path = "/api/v1/inventory"
    shelf = shop.api.post("/api/v1/locations", {"name": "Shelf", "code": "shelf-1"}).json["id"]
    adjustments = []
    for _ in range(4):
        variant_id = shop.product()["variants"][0]["id"]
        adjustments.append({"variant_id": variant_id, "location_id": shelf, "quantity": 3})
    shop.api.post("/api/v1/inventory/adjustments", {"adjustments": adjustments})
    everything = shop.api.get(path, query={"limit": 100, "include_total": "true"}).json
    keys = [(row["variant_id"], row["location_id"]) for row in everything["data"]]
    assert everything["total"] == len(keys) == len(set(keys))
    assert keys == sorted(keys)
    seen = []
    after: dict[str, str] = {}
    while True:
        page = shop.api.get(path, query={"limit": 3, **after}).json
        seen += [(row["variant_id"], row["location_id"]) for row in page["data"]]
        if not page["page_info"]["has_next_page"]:
            break
        after = {"after": page["page_info"]["end_cursor"]}
    assert seen == keys
    on_shelf = shop.api.get(path, query={"location_id": shelf}).json["data"]
    assert len(on_shelf) == 4
