"""What the demo shop sells: departments, their shelves and the words its products are named from.

Belongs here: the tables. Does not: drawing from them (assortment.py).
"""

from dataclasses import dataclass

SIZES = ("XS", "S", "M", "L", "XL")
SHOE_SIZES = ("38", "39", "40", "41", "42", "43")
COLOURS = ("Sand", "Forest", "Ink", "Rust")
PACKS = ("250 g", "500 g", "1 kg")


@dataclass(frozen=True)
class Shelf:
    """A leaf category: its kinds of product, its prices in whole units and its variants."""

    name: str
    kinds: tuple[str, ...]
    lowest_price: int
    highest_price: int
    option: str | None = None
    values: tuple[str, ...] = ()


@dataclass(frozen=True)
class Department:
    """A top category. `season` is the share of each month, January first, around 1."""

    name: str
    shelves: tuple[Shelf, ...]
    season: tuple[float, ...]
    return_ratio: float


SUMMER = (0.6, 0.6, 0.8, 1.1, 1.4, 1.6, 1.6, 1.3, 0.9, 0.7, 0.7, 0.7)
WINTER = (1.3, 1.1, 0.9, 0.7, 0.5, 0.5, 0.5, 0.6, 1.0, 1.3, 1.6, 1.7)
GIFTS = (0.7, 0.8, 0.8, 0.9, 0.9, 0.8, 0.8, 0.8, 0.9, 1.0, 1.6, 2.1)
EVEN = (1.0,) * 12

DEPARTMENTS = (
    Department(
        "Clothing",
        (
            Shelf("Shirts", ("Oxford Shirt", "Linen Shirt", "Polo", "Tee"), 19, 79, "Size", SIZES),
            Shelf("Knitwear", ("Crew Jumper", "Cardigan", "Roll Neck"), 49, 149, "Size", SIZES),
            Shelf("Trousers", ("Chinos", "Jeans", "Cord Trousers"), 49, 129, "Size", SIZES),
            Shelf("Jackets", ("Rain Jacket", "Field Jacket", "Parka"), 89, 289, "Size", SIZES),
            Shelf("Shoes", ("Boots", "Trainers", "Loafers"), 69, 219, "Size", SHOE_SIZES),
        ),
        WINTER,
        0.11,
    ),
    Department(
        "Home",
        (
            Shelf("Bedding", ("Duvet Cover", "Pillowcase", "Blanket"), 25, 159, "Colour", COLOURS),
            Shelf("Lighting", ("Table Lamp", "Floor Lamp", "Pendant"), 39, 249),
            Shelf("Storage", ("Basket", "Shelf", "Crate"), 15, 119),
            Shelf("Textiles", ("Rug", "Cushion", "Throw"), 19, 299, "Colour", COLOURS),
        ),
        EVEN,
        0.05,
    ),
    Department(
        "Kitchen",
        (
            Shelf("Cookware", ("Saucepan", "Skillet", "Casserole"), 29, 199),
            Shelf("Tableware", ("Plate Set", "Bowl", "Mug"), 9, 89, "Colour", COLOURS),
            Shelf("Knives", ("Chef's Knife", "Bread Knife", "Paring Knife"), 19, 169),
            Shelf(
                "Coffee", ("Espresso Beans", "Filter Beans", "Decaf Beans"), 8, 39, "Pack", PACKS
            ),
        ),
        GIFTS,
        0.03,
    ),
    Department(
        "Outdoor",
        (
            Shelf("Camping", ("Tent", "Sleeping Bag", "Stove"), 39, 399),
            Shelf("Garden", ("Trowel", "Planter", "Watering Can"), 9, 69),
            Shelf("Cycling", ("Helmet", "Pannier", "Light Set"), 25, 149),
            Shelf("Picnic", ("Cool Bag", "Flask", "Picnic Blanket"), 19, 79, "Colour", COLOURS),
        ),
        SUMMER,
        0.04,
    ),
    Department(
        "Paper and Play",
        (
            Shelf("Stationery", ("Notebook", "Fountain Pen", "Planner"), 6, 89),
            Shelf("Games", ("Board Game", "Card Game", "Puzzle"), 12, 69),
            Shelf("Toys", ("Wooden Train", "Soft Bear", "Kite"), 9, 79),
            Shelf("Bags", ("Rucksack", "Tote", "Weekender"), 29, 189, "Colour", COLOURS),
        ),
        GIFTS,
        0.03,
    ),
)
SERIES = [
    "Alder",
    "Birch",
    "Cedar",
    "Dune",
    "Elm",
    "Fjord",
    "Grove",
    "Harbour",
    "Iris",
    "Juniper",
    "Kestrel",
    "Linden",
    "Meadow",
    "North",
    "Oak",
    "Pebble",
    "Quay",
    "Ridge",
    "Sage",
    "Tarn",
    "Umber",
    "Vale",
    "Willow",
    "Yarrow",
    "Aster",
    "Bracken",
    "Clover",
    "Drift",
    "Ember",
    "Fern",
    "Gorse",
    "Heron",
    "Islet",
    "Jetty",
    "Kelp",
    "Loch",
    "Moss",
    "Nettle",
    "Orchard",
    "Pine",
    "Reed",
    "Slate",
    "Thistle",
    "Wren",
]
