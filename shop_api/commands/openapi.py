"""`shop-api openapi`: the OpenAPI document, without any store."""

import json

import click

from shop_api.app import make_document


@click.command()
def openapi() -> None:
    """Print the OpenAPI 3.1 document as JSON."""
    click.echo(json.dumps(make_document(), indent=2, ensure_ascii=False))
