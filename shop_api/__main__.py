"""`python -m shop_api`: the same as the command `shop-api`."""

from shop_api.cli import main

main(prog_name="shop-api")
