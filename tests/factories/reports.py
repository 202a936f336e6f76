"""Reports as the worker would write them."""

from datetime import UTC, date, datetime

from shop_api import models
from shop_api.app import App
from shop_api.db.tenancy import tenant_session
from shop_api.kernel.ids import new_id
from shop_api.spine.notifications import Notification, tell
from shop_api.spine.unit_of_work import Origin, unit_of_work
from tests.fixtures.api import Shop


def make_report(shop: Shop) -> str:
    """A report as the worker would write it."""
    assert isinstance(shop.api.app, App)
    now = datetime.now(UTC)
    report_id = new_id(now)
    values = {"tenant_id": shop.tenant_id, "kind": "daily_sales", "title": "Sales"}
    day = date(2026, 1, 1 + report_id.int % 27)
    with tenant_session(shop.api.app.services.engine, shop.tenant_id) as session:
        session.execute(models.reports.delete())
        session.execute(
            models.reports.insert().values(
                **values,
                id=report_id,
                period_from=day,
                period_to=day.replace(day=day.day + 1),
                snapshot="1",
                as_of=now,
                created_at=now,
            )
        )
        for form in ("html", "csv"):
            session.execute(
                models.report_files.insert().values(
                    tenant_id=shop.tenant_id, report_id=report_id, format=form, content=b"x"
                )
            )
    return str(report_id)


def make_notification(shop: Shop) -> str:
    """A notification as the platform would write it."""
    assert isinstance(shop.api.app, App)
    services = shop.api.app.services
    origin = Origin(shop.tenant_id, "system:test", "test", datetime.now(UTC))
    row_id = new_id(origin.now)
    told = Notification("late_pipeline", "warning", "Your figures are late", "They catch up.")
    with unit_of_work(services.engine, services.waker, origin) as work:
        tell(work, told, row_id)
    return str(row_id)
