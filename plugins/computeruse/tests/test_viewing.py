"""The screen as viewers follow it, and links to recordings for players."""

from __future__ import annotations

import contextlib
import io
import select
import shutil
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from PIL import Image
from toolbox_computeruse.recordings import links
from toolbox_computeruse.screen import frames
from werkzeug.datastructures import MultiDict

from toolbox.errors import Unauthorized

SCREEN = "/x/computeruse/screen"


def look(desk: Any, known: str = "", **query: Any) -> httpx.Response:
    headers = {"If-None-Match": known} if known else {}
    response: httpx.Response = desk.service.http.get(SCREEN, params=query, headers=headers)
    return response


def settled(desk: Any, **query: Any) -> httpx.Response:
    """Return the screen once it has been still for half a second."""
    response = look(desk, **query)
    while (later := look(desk, response.headers["ETag"], wait=0.5, **query)).status_code == 200:
        response = later
    assert (later.status_code, later.content) == (304, b"")
    return response


def test_the_screen_is_sent_again_only_when_it_has_changed(desk: Any, watcher: Any) -> None:
    response = settled(desk, format="png", showCursor="false")
    assert response.headers["X-Toolbox-Screen"] == "1280x800"
    image = Image.open(io.BytesIO(response.content))
    at = watcher.at(10, 10)
    assert (image.format, image.size) == ("PNG", (1280, 800))
    assert image.convert("RGB").getpixel((at["x"], at["y"])) == (255, 0, 0)
    with ThreadPoolExecutor(1) as pool:
        query = {"format": "png", "showCursor": "false"}
        waiting = pool.submit(look, desk, response.headers["ETag"], wait=30, **query)
        desk.end_programs()  # The window goes.
        changed = waiting.result()
    assert changed.status_code == 200 and changed.headers["ETag"] != response.headers["ETag"]
    desk.wait_for(
        lambda: Image.open(io.BytesIO(look(desk, **query).content))
        .convert("RGB").getpixel((at["x"], at["y"])) != (255, 0, 0),
        "the window to be gone",
    )  # fmt: skip


def test_the_pointer_is_a_change_only_for_those_who_see_it(desk: Any) -> None:
    desk.post("mouse/move", x=200, y=200)
    seeing, blind = settled(desk), settled(desk, showCursor="false")
    desk.post("mouse/move", x=700, y=300)
    assert look(desk, seeing.headers["ETag"], wait=30).status_code == 200
    known = blind.headers["ETag"]
    assert look(desk, known, wait=0.3, showCursor="false").status_code == 304


def test_an_image_may_be_smaller_and_of_another_format(desk: Any) -> None:
    for kind in ("jpeg", "webp"):
        response = look(desk, format=kind, scale=0.5, quality=50)
        assert response.headers["Content-Type"] == f"image/{kind}"
        image = Image.open(io.BytesIO(response.content))
        assert (image.size, (image.format or "").lower()) == ((640, 400), kind)
        assert response.headers["X-Toolbox-Screen"] == "1280x800"
    for wrong in ({"format": "gif"}, {"scale": 2}, {"quality": 0}, {"wait": 31}, {"wait": "x"}):
        assert look(desk, **wrong).status_code == 400, wrong


def test_many_viewers_share_the_images(desk: Any) -> None:
    known = settled(desk).headers["ETag"]
    barrier = threading.Barrier(101)

    def watch() -> httpx.Response:
        barrier.wait()
        response = look(desk, known, wait=20)
        while response.status_code == 304:  # Of those who may wait there are fewer.
            response = look(desk, known, wait=20)
        return response

    with ThreadPoolExecutor(100) as pool:
        watching = [pool.submit(watch) for _ in range(100)]
        barrier.wait()
        desk.post("mouse/move", x=333, y=222)
        found = [viewer.result() for viewer in watching]
    by_tag = {(response.headers["ETag"], response.content) for response in found}
    assert len(by_tag) == len({tag for tag, _ in by_tag}) < 10


def test_viewers_share_the_images_of_a_screen_that_never_rests(desk: Any) -> None:
    if shutil.which("xterm") is None:
        pytest.skip("xterm is not installed (Debian: xterm)")
    desk.run("xterm", "-e", "sh", "-c", "while :; do seq 100; done")
    desk.wait_for(lambda: desk.get("display/windows")["windows"], "the window")

    def watch(_: int) -> list[str]:
        tags = [""]
        while len(tags) < 6:
            response = look(desk, tags[-1], wait=30)
            assert response.status_code == 200
            tags.append(response.headers["ETag"])
        return tags[1:]

    with ThreadPoolExecutor(10) as pool:
        seen = [tag for tags in pool.map(watch, range(10)) for tag in tags]
    assert len(set(seen)) < len(seen) / 2


def test_who_watches_is_told_that_the_desktop_has_ended(desk: Any) -> None:
    known = settled(desk).headers["ETag"]
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(look, desk, known, wait=30)
        desk.post("stop")
        assert waiting.result().json()["code"] == "DISPLAY_UNAVAILABLE"
    desk.post("start")
    assert look(desk, known, wait=30).status_code == 200


def test_viewers_take_a_place_each_until_they_go(desk: Any) -> None:
    known = settled(desk).headers["ETag"]
    head = (
        f"GET {SCREEN}?wait=30 HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: {known}\r\n"
        f"Authorization: Bearer {desk.service.token}\r\n\r\n"
    )

    def waits() -> bool:
        begun = time.monotonic()
        assert look(desk, known, wait=0.3).status_code == 304
        return time.monotonic() - begun > 0.3

    with contextlib.ExitStack() as stack:
        viewers = []
        for _ in range(2 * frames.WAITING):
            viewers.append(socket.create_connection(("127.0.0.1", desk.service.port)))
            stack.enter_context(viewers[-1])
            viewers[-1].sendall(head.encode())
        desk.wait_for(
            lambda: len(select.select(viewers, (), (), 0)[0]) == frames.WAITING,
            "those without a place to be answered",
        )
        assert not waits()
    desk.wait_for(waits, "a place")


def test_a_link_plays_a_recording_by_ranges_and_nothing_else(desk: Any) -> None:
    if shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed (Debian: ffmpeg)")
    recording = desk.post("recordings/start", status=201)
    desk.post("recordings/stop", id=recording["id"])
    http = desk.service.http
    whole = http.get(f"/computeruse/recordings/{recording['id']}/download").content
    link = http.post(f"/x/computeruse/recordings/{recording['id']}/link").json()
    assert time.time() < link["expires"] <= time.time() + links.LIFETIME
    with desk.service.client(None) as stranger:
        url = f"/{link['url']}"
        assert stranger.get(url).content == whole
        part = stranger.get(url, headers={"Range": "bytes=5-9"})
        assert (part.status_code, part.content) == (206, whole[5:10])
        assert part.headers["Content-Type"] == "video/mp4"
        for wrong in (
            url.replace(recording["id"], "other"), url.replace("expires=", "expires=1"),
            url[:-1], f"{url}&id=other", url.partition("&signature")[0],
        ):  # fmt: skip
            assert stranger.get(wrong).status_code in (400, 401), wrong
        other = url.partition("?")[2]
        assert stranger.get(f"/computeruse/recordings/{recording['id']}?{other}").status_code == 401
    assert http.post("/x/computeruse/recordings/none/link").status_code == 404
    assert http.delete(f"/computeruse/recordings/{recording['id']}").status_code == 204
    assert http.get(url).status_code == 404


def test_a_link_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    query = MultiDict(httpx.QueryParams(links.link("one").url.partition("?")[2]).multi_items())
    check = links.SCHEME.check
    check(None, "GET", query)  # type: ignore[arg-type]
    monkeypatch.setattr(links, "LIFETIME", -1)
    late = MultiDict(httpx.QueryParams(links.link("one").url.partition("?")[2]).multi_items())
    with pytest.raises(Unauthorized, match="expired"):
        check(None, "GET", late)  # type: ignore[arg-type]
