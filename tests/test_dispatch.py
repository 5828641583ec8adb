"""Requests take a short way through Flask, and come out as from the long one."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import partial
from typing import Any

import flask
import pytest
from flask import Flask
from flask import Response
from flask import request
from werkzeug.test import EnvironBuilder

from toolbox.application.dispatch import Application
from toolbox.application.dispatch import DirectAdapter
from toolbox.application.routing import Rest

RULES = [
    ("/a", "a", ["GET"]),
    ("/a", "made", ["POST"]),
    ("/a/<b>", "any", ["GET", "DELETE"]),
    ("/a/b", "b", ["GET"]),
    ("/twice", "first", ["GET"]),
    ("/twice", "second", ["GET"]),
    ("/slash/", "slash", ["GET"]),
    ("/files/<rest:path>", "rest", ["GET"]),
]


def with_routes(app: Flask) -> Flask:
    app.url_map.converters["rest"] = Rest
    app.url_map.merge_slashes = False
    for path, endpoint, methods in RULES:
        app.add_url_rule(
            path, endpoint, _view(endpoint), methods=methods, provide_automatic_options=False
        )
    return app


def _view(endpoint: str) -> Any:
    def view(**values: str) -> str:
        assert request.endpoint == endpoint
        assert request.view_args == values
        assert flask.current_app.name == "toolbox"
        return f"{endpoint} {values} {request.host} {flask.g.setdefault('known', 1)}"

    return view


@pytest.fixture
def ours() -> Application:
    app = Application("toolbox")
    with_routes(app)
    app.compile_routes()
    return app


def environ_of(method: str, path: str, **headers: str) -> dict[str, Any]:
    environ = EnvironBuilder(method=method, path=path).get_environ()
    environ["PATH_INFO"] = path
    return {**environ, **headers}


def called(app: Flask, environ: dict[str, Any]) -> tuple[str, dict[str, str], bytes]:
    told: list[Any] = []
    start: Any = lambda status, headers: told.extend([status, headers])  # noqa: E731
    body: Any = app(environ, start)
    data = b"".join(body)
    if hasattr(body, "close"):
        body.close()
    return told[0], dict(told[1]), data


HOSTS = ["localhost", "a.b:80", "a.b:8080", "[::1]:1", "", "a b", "x" * 70, "a..b", "\xe9"]


METHODS = ["GET", "HEAD", "POST", "DELETE", "OPTIONS", "get"]
PATHS = ["/a", "/a/", "//a", "/a/b", "/a/c", "/twice", "/slash", "/slash/", "/files//x", "/no", ""]


@pytest.mark.parametrize("host", HOSTS)
def test_every_request_is_answered_as_by_flask(ours: Application, host: str) -> None:
    plain = with_routes(Flask("toolbox", static_folder=None))
    # From the second on the host is known.
    for method, path in itertools.product(METHODS, PATHS):
        environ = environ_of(method, path, HTTP_HOST=host)
        assert called(ours, dict(environ)) == called(plain, environ)


def test_a_known_path_is_looked_up(ours: Application) -> None:
    environ = environ_of("GET", "/a")
    for kind in (False, True):
        with ours.request_context(environ) as context:
            assert isinstance(context.url_adapter, DirectAdapter) is kind
    with ours.request_context({**environ, "HTTP_UPGRADE": "websocket"}) as context:
        assert not isinstance(context.url_adapter, DirectAdapter)


def test_an_adapter_of_a_known_path_answers_all_questions(ours: Application) -> None:
    called(ours, environ_of("GET", "/a"))
    with ours.request_context(environ_of("GET", "/a")) as context:
        adapter = context.url_adapter
        assert adapter.match() == ("a", {})
        assert adapter.match("/a/x", "DELETE") == ("any", {"b": "x"})
        assert sorted(adapter.allowed_methods()) == ["GET", "HEAD", "POST"]
        assert adapter.test("/twice", "GET")


def test_hosts_are_not_kept_without_end(ours: Application) -> None:
    for number in range(200):
        environ = environ_of("GET", "/a", HTTP_HOST=f"h{number}")
        assert called(ours, dict(environ))[0] == "200 OK"
        assert len(ours._hosts) <= 64
        with ours.request_context(environ) as context:
            assert isinstance(context.url_adapter, DirectAdapter), "the latest is known"


def test_hooks_and_signals_see_every_request(ours: Application) -> None:
    seen: list[str] = []

    def note(name: str, result: Any = None) -> Any:
        return lambda *_, **__: seen.append(name) or result

    def after(response: Response) -> Response:
        seen.append("after")
        response.headers["X-Seen"] = "1"
        return response

    ours.before_request(note("before"))
    ours.after_request(after)
    ours.teardown_request(note("teardown"))
    ours.teardown_appcontext(note("teardown of the context"))
    started, finished = note("started"), note("finished")
    flask.request_started.connect(started, ours)
    flask.request_finished.connect(finished, ours)
    for _ in range(2):
        status, headers, _ = called(ours, environ_of("GET", "/a"))
        assert (status, headers["X-Seen"]) == ("200 OK", "1")
    one = ["started", "before", "after", "finished", "teardown", "teardown of the context"]
    assert seen == 2 * one


def test_a_hook_can_answer_instead(ours: Application) -> None:
    called(ours, environ_of("GET", "/a"))
    ours.before_request_funcs[None].append(lambda: ("mine", 418))
    assert called(ours, environ_of("GET", "/a"))[2] == b"mine"


def responses() -> Iterator[tuple[Any, dict[str, Any]]]:
    yield b"abc", {}
    yield "\xe9", {}
    yield [b"a", b"b"], {}
    yield (part for part in [b"a"]), {}
    yield b"", {}
    yield None, {"status": 204}
    yield b"abc", {"status": 304}
    yield b"abc", {"status": 201, "headers": {"Location": "/\xe9"}}
    yield b"abc", {"headers": {"content-length": "3"}}
    yield b"abc", {"headers": [("X-A", "1"), ("X-A", "2")], "content_type": "a/b"}


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_replies_are_flasks_responses(ours: Application, method: str) -> None:
    environ = environ_of(method, "/a")
    for (body, options), (again, _) in zip(responses(), responses(), strict=True):
        closed: list[int] = []
        made = [kind(each, **options) for kind, each in _kinds(ours, body, again)]
        found = []
        for response in made:
            response.call_on_close(partial(closed.append, 1))
            parts: Any
            parts, status, headers = response.get_wsgi_response(environ)
            found.append((list(parts), status, headers))
            parts.close()
        assert found[0] == found[1]
        assert closed == [1, 1]


def _kinds(ours: Application, *bodies: Any) -> list[tuple[type[Response], Any]]:
    return list(zip((ours.response_class, Response), bodies, strict=True))


def test_a_reply_without_callbacks_is_sent_as_it_is(ours: Application) -> None:
    environ = environ_of("GET", "/a")
    some: Any = {"headers": {"X-A": "b"}, "status": 404}
    for body, options in ((b"abc", {}), ([b"abc"], some)):
        _, *theirs = Response(body, **options).get_wsgi_response(environ)
        assert ours.response_class(body, **options).get_wsgi_response(environ) == (
            [b"abc"],
            *theirs,
        )


class Unchanged(Response):
    """A plugin's own kind of response."""

    def get_wsgi_headers(self, environ: Any) -> Any:
        return self.headers


def test_a_plugin_s_own_kind_of_response_stays_one(ours: Application) -> None:
    response = Unchanged(status=302, headers={"Location": "http://x/{odd}|path?a b"})
    ours.add_url_rule("/own", "own", lambda: response)
    given = ours.test_client().get("/own")
    assert given.headers["Location"] == "http://x/{odd}|path?a b"
