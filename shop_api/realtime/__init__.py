"""Push: events from Redis to open WebSockets, ordered and without gaps (gunicorn with gevent)."""
