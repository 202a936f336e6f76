"""The demo shop's assortment: categories, products, variants and stock.

Belongs here: drawing them from the departments' tables. Does not: orders (history.py). All values
are the text that staging takes.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from random import Random

from shop_api.bulk.demo_shop.departments import DEPARTMENTS, SERIES, Department, Shelf
from shop_api.kernel.money import currency_digits, round_money

PRODUCT_COUNT = 500
STORE_LOCATION = "store"
# the best sellers sell this many times what the least sold do
POPULARITY_LIMIT = 12.0

Row = dict[str, str | None]


@dataclass(frozen=True)
class Item:
    """A variant on sale: what orders draw from."""

    variant: str
    product: str
    title: str
    sku: str
    price: Decimal
    cost: Decimal
    department: Department
    # how often it is bought, against the others
    popularity: float


@dataclass(frozen=True)
class Assortment:
    """Rows to stage, and the items on sale."""

    categories: list[Row]
    products: list[Row]
    variants: list[Row]
    stock: list[Row]
    items: list[Item]


def make_assortment(rng: Random, currency: str, opened_at: datetime) -> Assortment:
    """500 products on the shelves of the departments, there since `opened_at`."""
    assortment = Assortment([], [], [], [], [])
    shelves = [(department, shelf) for department in DEPARTMENTS for shelf in department.shelves]
    for position, department in enumerate(DEPARTMENTS):
        assortment.categories.append(
            {"external_id": department.name, "name": department.name, "position": str(position)}
        )
    for position, (department, shelf) in enumerate(shelves):
        assortment.categories.append(
            {
                "external_id": f"{department.name}/{shelf.name}",
                "name": shelf.name,
                "parent": department.name,
                "position": str(position),
            }
        )
    names: set[str] = set()
    for number in range(PRODUCT_COUNT):
        department, shelf = shelves[number % len(shelves)]
        name = _new_name(rng, shelf, names)
        _add_product(assortment, rng, number, name, department, shelf, currency)
    for product in assortment.products:
        product["created_at"] = opened_at.isoformat()
    return assortment


def _new_name(rng: Random, shelf: Shelf, taken: set[str]) -> str:
    while (name := f"{rng.choice(SERIES)} {rng.choice(shelf.kinds)}") in taken:
        pass
    taken.add(name)
    return name


def _add_product(
    assortment: Assortment,
    rng: Random,
    number: int,
    name: str,
    department: Department,
    shelf: Shelf,
    currency: str,
) -> None:
    sku = f"{department.name[:2]}{shelf.name[:2]}-{number:04d}".upper()
    price = _price(rng, shelf, currency)
    cost = round_money(price * Decimal(rng.randint(38, 62)) / 100, currency)
    popularity = min(rng.paretovariate(1.3), POPULARITY_LIMIT)
    is_archived = rng.random() < 0.03
    assortment.products.append(
        {
            "external_id": sku,
            "name": name,
            "description": f"{name}, from our {shelf.name.lower()}.",
            "sku": sku,
            "price": str(price),
            "cost_price": str(cost),
            "status": "archived" if is_archived else "active",
            "category": f"{department.name}/{shelf.name}",
            "tags": department.name.lower().replace(" ", "-"),
            "currency": currency,
        }
    )
    values: tuple[str | None, ...] = shelf.values or (None,)
    for position, value in enumerate(values):
        variant = sku if value is None else f"{sku}-{position + 1}"
        assortment.variants.append(
            {
                "external_id": variant,
                "product": sku,
                "title": value or "Default",
                "sku": None if value is None else variant,
                "position": str(position),
                "option1_name": shelf.option,
                "option1_value": value,
                "low_stock_alert": "5",
            }
        )
        share = popularity / len(values)
        _add_stock(assortment, rng, variant, share)
        title = name if value is None else f"{name} – {value}"
        assortment.items.append(Item(variant, sku, title, variant, price, cost, department, share))


def _price(rng: Random, shelf: Shelf, currency: str) -> Decimal:
    """A price that ends in 9, or in .90 where the currency has digits."""
    whole = Decimal(rng.randint(shelf.lowest_price, shelf.highest_price))
    if currency_digits(currency) == 0:
        return whole * 100 - 1
    return round_money(whole - Decimal("0.10"), currency)


def _add_stock(assortment: Assortment, rng: Random, variant: str, popularity: float) -> None:
    """Most shelves are full, some low, a few empty; the web shop sells from the main location."""
    is_short = rng.random() < 0.06
    main = rng.randint(0, 4) if is_short else rng.randint(40, 160) + int(popularity * 60)
    store = 0 if is_short else rng.randint(0, 30)
    for location, quantity in ((None, main), (STORE_LOCATION, store)):
        assortment.stock.append(
            {"variant": variant, "location": location, "quantity": str(quantity)}
        )
