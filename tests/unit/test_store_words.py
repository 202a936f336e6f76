"""What is said of an object store's refusal: what it answered, and what to look at."""

import threading
from collections.abc import Iterator

import pytest
from werkzeug import Request, Response
from werkzeug.serving import make_server

from analytics.store import Store, StoreError

# As S3 words them; the first has no word of its own in the advice.
DENIED = "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
SIGNATURE = "<Error><Code>SignatureDoesNotMatch</Code></Error>"
RIGHTS = "The credentials do not allow it"


@Request.application
def refuse(request: Request) -> Response:
    """The status and the body that the key asks for."""
    status, _, word = request.path.rpartition("/")[2].partition("-")
    return Response({"denied": DENIED, "signature": SIGNATURE}.get(word, ""), int(status))


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    server = make_server("127.0.0.1", 0, refuse, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield Store(
        "s3://403/lake-403",
        {
            "aws_endpoint_url": f"http://127.0.0.1:{server.server_port}",
            "aws_allow_http": "true",
            "aws_region": "us-east-1",
            "aws_access_key_id": "403",
            "aws_secret_access_key": "403",
        },
    )
    server.shutdown()
    thread.join()


def test_what_the_credentials_do_not_allow_is_told(store: Store) -> None:
    with pytest.raises(PermissionError, match=RIGHTS):
        store.read("403-denied")
    # a HEAD has no body
    with pytest.raises(PermissionError, match=RIGHTS):
        store.tag("403-")
    with pytest.raises(PermissionError, match="The secret is another's"):
        store.read("403-signature")


@pytest.mark.parametrize("status", [400, 409])
def test_a_number_in_a_key_is_no_refusal(store: Store, status: int) -> None:
    with pytest.raises(StoreError) as told:
        store.write(f"{status}-403", b"403")
    assert str(status) in str(told.value)
    assert RIGHTS not in str(told.value)
