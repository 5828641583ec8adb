"""What a router on the way to a sandbox responds, and what the sandbox does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from toolbox_fleet.gateway.routers import checked
from toolbox_fleet.models.addresses import Router
from toolbox_fleet.models.addresses import Upstream
from werkzeug.wrappers import Response

from toolbox.forwarding.errors import BadUpstream
from toolbox.forwarding.errors import NothingListens

FAILURE = b'{"detail":"Could not connect'
PLAIN = Upstream(host="10.0.0.1", port=2280, token="t")
ROUTED = Upstream(host="router", port=8080, token="t", router=Router(headers=(), failure=FAILURE))


class Exchange:
    """A body that comes in pieces; None stands for the end of the connection."""

    def __init__(self, *pieces: bytes | None) -> None:
        self._pieces = pieces
        self.closed = False

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            if piece is None:
                raise ConnectionResetError
            yield piece

    def close(self) -> None:
        self.closed = True


def response(exchange: Exchange, status: int = 502) -> Response:
    return Response(exchange, status, direct_passthrough=True)


def test_what_the_router_itself_responds_is_an_error() -> None:
    for pieces in ((FAILURE + b'"}',), (FAILURE[:3], FAILURE[3:], b': x"}')):
        exchange = Exchange(*pieces)
        with pytest.raises(NothingListens, match="router"):
            checked(response(exchange), ROUTED)
        assert exchange.closed


@pytest.mark.parametrize("pieces", [(b"bad ", b"gateway"), (FAILURE[:-1], b"-"), ()])
def test_a_502_of_the_sandbox_is_whole(pieces: tuple[bytes, ...]) -> None:
    exchange = Exchange(*pieces)
    passed = checked(response(exchange), ROUTED)
    assert b"".join(passed.response) == b"".join(pieces)  # type: ignore[arg-type]
    assert not exchange.closed
    passed.close()
    assert exchange.closed


def test_a_502_that_breaks_off_is_one_of_ours() -> None:
    exchange = Exchange(FAILURE[:5], None)
    with pytest.raises(BadUpstream):
        checked(response(exchange), ROUTED)
    assert exchange.closed


def test_all_else_is_passed_on_unread() -> None:
    for upstream, status in ((ROUTED, 200), (ROUTED, 503), (PLAIN, 502)):
        given = response(Exchange(FAILURE), status)
        body = given.response
        assert checked(given, upstream) is given and given.response is body
