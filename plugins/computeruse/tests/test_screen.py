"""Screenshots, compared with the pixels drawn."""

from __future__ import annotations

import base64
import io
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from PIL import Image
from Xlib import Xcursorfont
from Xlib.display import Display

from toolbox.processes import descendants
from toolbox.testing import DEADLINE

RED, GREEN, BLUE, YELLOW = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)


def image_of(response: Any) -> Image.Image:
    data = base64.b64decode(response["screenshot"], validate=True)
    assert len(data) == response["sizeBytes"]
    image = Image.open(io.BytesIO(data))
    image.load()
    assert image.size == (response["width"], response["height"])
    assert (image.format or "").lower() == response["format"]
    return image


def test_the_whole_screen_has_the_pixels_that_were_drawn(desk: Any, watcher: Any) -> None:
    image = image_of(desk.get("screenshot"))
    assert (image.size, image.mode) == ((1280, 800), "RGB")
    places = [((10, 10), RED), ((390, 10), GREEN), ((10, 290), BLUE), ((390, 290), YELLOW)]
    for place, colour in places:
        at = watcher.at(*place)
        assert image.getpixel((at["x"], at["y"])) == colour
    window = watcher.window
    box = image.crop((window["x"], window["y"], window["x"] + 400, window["y"] + 300))
    assert sorted(box.getcolors() or []) == sorted(
        (30000, colour) for colour in (RED, GREEN, BLUE, YELLOW)
    )


def test_a_region_is_that_part_of_the_screen(desk: Any, watcher: Any) -> None:
    at = watcher.at(190, 140)
    image = image_of(desk.get("screenshot/region", **at, width=20, height=20))
    corners = [image.getpixel(place) for place in ((0, 0), (19, 0), (0, 19), (19, 19))]
    assert (image.size, corners) == ((20, 20), [RED, GREEN, BLUE, YELLOW])


def paint_screen(display: str, colour: int) -> None:
    connection = Display(display)
    try:
        root = connection.screen().root
        root.change_attributes(background_pixel=colour)
        root.clear_area()
        connection.sync()
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("x", "y", "inside"), [(-10, -10, (10, 10)), (1270, 790, (9, 9)), (5000, 5000, None)]
)
def test_what_is_off_the_screen_is_black(
    desk: Any, x: int, y: int, inside: tuple[int, int] | None
) -> None:
    paint_screen(desk.display, 0x123456)
    image = image_of(desk.get("screenshot/region", x=x, y=y, width=20, height=20))
    counts = {colour: count for count, colour in image.getcolors() or []}
    assert image.size == (20, 20)
    assert counts == ({(0, 0, 0): 300, (0x12, 0x34, 0x56): 100} if inside else {(0, 0, 0): 400})
    if inside:
        assert image.getpixel(inside) == (0x12, 0x34, 0x56)


def test_formats_and_scale(desk: Any, watcher: Any) -> None:
    for name, format in (("png", "png"), ("", "png"), ("jpg", "jpeg"), ("webp", "webp")):
        response = desk.get("screenshot/compressed", format=name, quality=95, scale=0.5)
        image = image_of(response).convert("RGB")
        assert (image.size, response["format"]) == ((640, 400), format)
        at = watcher.at(100, 70)
        pixel = image.getpixel((at["x"] // 2, at["y"] // 2))
        assert isinstance(pixel, tuple)
        assert max(abs(a - b) for a, b in zip(pixel, RED, strict=True)) < 8
    small = desk.get("screenshot/region/compressed", x=0, y=0, width=1, height=1, scale=0.1)
    assert image_of(small).size == (1, 1)


def test_the_pointer_is_drawn_where_it_is(desk: Any, watcher: Any) -> None:
    at = watcher.at(100, 70)
    desk.post("mouse/move", **at)
    plain, pointed = desk.get("screenshot"), desk.get("screenshot", showCursor="true")
    assert plain["cursorPosition"] == pointed["cursorPosition"] == at
    around = (at["x"] - 24, at["y"] - 24, at["x"] + 24, at["y"] + 24)
    assert len(image_of(pointed).crop(around).getcolors() or []) > 1
    assert image_of(plain).crop(around).getcolors() == [(48 * 48, RED)]
    part = {"x": at["x"] - 5, "y": at["y"] - 5, "width": 30, "height": 30}
    region = desk.get("screenshot/region", **part, show_cursor="1", showCursor="false")
    assert region["cursorPosition"] == at
    box = (at["x"] - 5, at["y"] - 5, at["x"] + 25, at["y"] + 25)
    assert image_of(region).tobytes() == image_of(pointed).crop(box).tobytes()


def leave_cursor(display: str) -> None:
    # A later client gets the lowest free number, and with it the resources its predecessor left.
    connections = [Display(display) for _ in range(20)]
    last = connections[-1]
    font: Any = last.open_font("cursor")
    shape = Xcursorfont.left_ptr
    cursor = font.create_glyph_cursor(font, shape, shape + 1, (0, 0, 0), (65535,) * 3)
    last.screen().root.change_attributes(cursor=cursor)
    last.sync()
    for connection in connections:
        connection.close()


def test_a_pointer_whose_client_has_gone_is_a_cross(make_desk: Any) -> None:
    """The server shows the pointer of a disconnected client, but denies access to its image."""
    desk = make_desk('window_manager = "none"')
    desk.post("start")
    desk.post("mouse/move", x=300, y=200)
    leave_cursor(desk.display)
    image = image_of(desk.get("screenshot", showCursor="true"))
    assert image.getpixel((300, 200)) == RED


@pytest.mark.parametrize(
    "query",
    [
        *({"width": width} for width in ("0", "-1", "abc", "")),
        *({"height": None}, {"x": "1.5"}, {"showCursor": "yes"}, {"show_cursor": ""}),
        *({"width": "100000", "height": "100000"}, {"quality": "0"}, {"quality": "200"}),
        *({"quality": "abc"}, {"scale": "0"}, {"scale": "2"}, {"scale": "nan"}),
        *({"scale": "abc"}, {"format": "gif"}),
    ],
)
def test_wrong_parameters_are_bad_requests(desk: Any, query: dict[str, str | None]) -> None:
    asked = {"x": "0", "y": "0", "width": "10", "height": "10", **query}
    found = {name: value for name, value in asked.items() if value is not None}
    error = desk.get("screenshot/region/compressed", status=400, **found)
    assert error["source"] == "DAYTONA_DAEMON"
    assert error["code"] in ("BAD_REQUEST", "INVALID_INPUT")


def test_names_of_parameters_have_no_case(desk: Any) -> None:
    # AC-81, F-E18
    found = desk.get("screenshot/region", X=0, Y=0, Width=10, HEIGHT=20)
    assert (found["width"], found["height"]) == (10, 20)
    desk.get("screenshot/region", status=400, x=0, X=0, y=0, width=10, height=10)


def test_ac_81_no_program_is_run_for_a_screenshot(desk: Any) -> None:
    """No process is started for a screenshot: fifty are taken while processes are watched."""
    (worker,) = desk.service.workers()
    before = set(descendants(worker))
    seen: set[int] = set()
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            seen.update(descendants(worker))

    with ThreadPoolExecutor(1) as pool:
        looking = pool.submit(look)
        try:
            for _ in range(25):
                assert desk.get("screenshot")["width"] == 1280
                assert desk.get("screenshot/compressed", format="jpeg", quality=50)["sizeBytes"]
        finally:
            over.set()
        looking.result(DEADLINE)
    assert seen and seen <= before
