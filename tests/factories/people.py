"""Bodies of the operations on people and credentials."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

from tests.fixtures.api import PASSWORD, Shop


def login_body(shop: Shop) -> dict[str, Any]:
    return {"email": shop.email, "password": PASSWORD}


def refresh_body(shop: Shop) -> dict[str, Any]:
    tokens = shop.api.with_token(None).post("/api/v1/auth/login", login_body(shop)).json
    return {"refresh_token": tokens["refresh_token"]}


def tenant_body(_: Shop) -> dict[str, Any]:
    slug = f"new-{uuid4().hex[:10]}"
    owner = {"email": f"owner@{slug}.example", "name": "Owner", "password": PASSWORD}
    return {"name": "New", "slug": slug, "currency": "EUR", "timezone": "UTC", "owner": owner}


def user_body(_: Shop) -> dict[str, Any]:
    email = f"{uuid4().hex}@example.com"
    return {"email": email, "name": "Grace", "role": "staff", "password": PASSWORD}


def invitation_body(_: Shop) -> dict[str, Any]:
    return {"email": f"{uuid4().hex}@example.com", "role": "staff"}


def acceptance_body(shop: Shop) -> dict[str, Any]:
    made = shop.api.post("/api/v1/invitations", invitation_body(shop)).json
    return {"token": made["token"], "name": "Grace", "password": PASSWORD}


PEOPLE_BODIES: dict[str, Callable[[Shop], dict[str, Any]]] = {
    "login": login_body,
    "refresh": refresh_body,
    "logout": refresh_body,
    "update_api_key": lambda _: {"name": "other"},
    "rotate_api_key": lambda _: {"overlap_seconds": 60},
    "create_invitation": invitation_body,
    "accept_invitation": acceptance_body,
    "create_api_key": lambda _: {"name": "program"},
    "create_tenant": tenant_body,
    "create_user": user_body,
    "update_user": lambda _: {"name": "Grace Hopper"},
}
