"""Gunicorn's gevent worker, ending WebSockets instead of waiting for them to end.

Belongs here: what happens on SIGTERM. Does not: how gunicorn is configured (gunicorn_config.py).
"""

from types import FrameType

import gevent
from gunicorn.arbiter import Arbiter
from gunicorn.workers.ggevent import GeventWorker

from shop_api.kernel.logs import last_words
from shop_api.stack.loading import loading

# of the grace, the part over which closes are spread; the rest is for clients to answer and go
JITTER_SHARE = 0.3


class RealtimeWorker(GeventWorker):
    """Drains the hub when asked to stop."""

    def load_wsgi(self) -> None:
        """Load the application; gunicorn would also print what keeps it from starting."""
        with last_words(Arbiter.WORKER_BOOT_ERROR), loading():
            super().load_wsgi()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """SIGTERM: not ready any more, close all sockets, then stop as any worker."""
        # not set while the application is loaded
        app = getattr(self, "wsgi", None)
        if app is not None:
            services = app.extensions["shop_api.realtime"]
            gevent.spawn(services.hub.drain, self.cfg.graceful_timeout * JITTER_SHARE)
        super().handle_exit(sig, frame)
