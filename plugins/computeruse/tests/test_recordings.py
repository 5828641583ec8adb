"""Recordings, checked with ffprobe."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import uuid
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from toolbox.processes import descendants


@pytest.fixture(autouse=True)
def need_ffmpeg() -> None:
    if shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed (Debian: ffmpeg)")


def probe(path: str | Path) -> Any:
    """Return ffprobe's report after it has decoded every frame."""
    entries = "stream=width,height,codec_name,pix_fmt,nb_read_frames:format=duration"
    command = ["ffprobe", "-v", "error", "-count_frames", "-show_entries", entries]
    done = subprocess.run([*command, "-of", "json", path], capture_output=True, check=True)
    return json.loads(done.stdout)


def film(desk: Any, size: int = 20_000, **body: Any) -> Any:
    """Start a recording and wait until it has written ``size`` bytes."""
    recording = desk.post("recordings/start", status=201, **body)
    path = Path(recording["filePath"])
    # A still picture takes almost no bytes.
    noise = iter(range(10_000))

    def grown() -> bool:
        desk.post("mouse/move", x=next(noise) * 7 % 1280, y=100)
        return path.stat().st_size > size

    desk.wait_for(grown, "the film to grow")
    return recording


def ffmpegs(desk: Any) -> list[int]:
    found = []
    for pid in descendants(desk.service.process.pid):
        if Path(f"/proc/{pid}/comm").read_text().strip() == "ffmpeg":
            found.append(pid)
    return found


def test_a_film_is_made_listed_sent_and_deleted(desk: Any) -> None:
    started = film(desk, label="my film")
    assert started["status"] == "recording"
    assert set(started) == {"id", "fileName", "filePath", "startTime", "status"}
    number = started["id"]
    assert uuid.UUID(number).version == 4
    assert started["fileName"].startswith(f"{number}_my film_")
    assert desk.get("recordings")["recordings"][0] == started
    assert desk.service.http.delete(f"/computeruse/recordings/{number}").status_code == 400
    stopped = desk.post("recordings/stop", id=number)
    assert stopped["status"] == "completed"
    assert stopped["sizeBytes"] == Path(stopped["filePath"]).stat().st_size
    begin, end = (datetime.fromisoformat(stopped[name]) for name in ("startTime", "endTime"))
    assert abs((end - begin).total_seconds() - stopped["durationSeconds"]) < 0.5
    assert desk.get(f"recordings/{number}") == stopped
    found = probe(stopped["filePath"])
    stream = found["streams"][0]
    assert (stream["width"], stream["height"], stream["codec_name"]) == (1280, 800, "h264")
    assert int(stream["nb_read_frames"]) >= 5
    assert 0 < float(found["format"]["duration"]) <= stopped["durationSeconds"] + 0.5
    url = f"/computeruse/recordings/{number}/download"
    whole = desk.service.http.get(url)
    assert whole.content == Path(stopped["filePath"]).read_bytes()
    assert whole.headers["content-type"] == "video/mp4"
    part = desk.service.http.get(url, headers={"Range": "bytes=4-7"})
    assert (part.status_code, part.content) == (206, b"ftyp")
    assert desk.service.http.delete(f"/computeruse/recordings/{number}").status_code == 204
    assert desk.get(f"recordings/{number}", status=404)["code"] == "RECORDING_NOT_FOUND"
    assert list(desk.recordings.iterdir()) == []


def test_ffmpeg_that_dies_is_told_and_its_film_can_be_played(desk: Any) -> None:
    started = film(desk, size=30_000)
    [pid] = ffmpegs(desk)
    os.kill(pid, signal.SIGKILL)
    number = started["id"]
    desk.wait_for(lambda: desk.get(f"recordings/{number}")["status"] == "failed", "the failure")
    assert desk.post("recordings/stop", status=404, id=number)["code"] == "RECORDING_NOT_FOUND"
    assert int(probe(started["filePath"])["streams"][0]["nb_read_frames"]) >= 5
    desk.service.http.delete(f"/computeruse/recordings/{number}")


def test_odd_sizes_can_be_filmed(make_desk: Callable[..., Any]) -> None:
    desk = make_desk('resolution = "1001x701"')
    desk.post("start")
    started = film(desk, size=1000)
    desk.post("stop")
    assert desk.get(f"recordings/{started['id']}")["status"] == "completed"
    stream = probe(started["filePath"])["streams"][0]
    assert (stream["width"], stream["height"]) == (1002, 702)


def test_the_service_finishes_its_films(make_desk: Callable[..., Any]) -> None:
    desk = make_desk()
    desk.post("start")
    started = film(desk, size=1000)
    assert desk.service.stop() == 0
    assert probe(started["filePath"])["streams"][0]["codec_name"] == "h264"


def test_early_death_is_an_error(make_desk: Callable[..., Any], tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    fake = programs / "ffmpeg"
    fake.write_text("#!/bin/sh\necho 'no such codec' >&2\nexit 1\n")
    fake.chmod(0o755)
    desk = make_desk(env={"PATH": f"{programs}:{os.environ['PATH']}"})
    desk.post("start")
    error = desk.post("recordings/start", status=500)
    assert (error["code"], "no such codec" in error["message"]) == ("RECORDING_FAILED", True)
    assert desk.get("recordings") == {"recordings": []}


def test_ac_82_without_ffmpeg_or_display(make_desk: Callable[..., Any], tmp_path: Path) -> None:
    desk = make_desk()
    assert desk.post("recordings/start", status=503)["code"] == "DISPLAY_UNAVAILABLE"
    desk = make_desk(env={"PATH": str(tmp_path)})
    assert desk.post("recordings/start", status=503)["code"] == "RECORDING_FFMPEG_NOT_FOUND"
    assert desk.get("recordings") == {"recordings": []}


@pytest.mark.parametrize("label", ["a/b", "..", ".x", " ", "é", "x" * 101, "a\\b", "a\0b"])
def test_wrong_labels(desk: Any, label: str) -> None:
    assert desk.post("recordings/start", status=400, label=label)["code"] == "INVALID_LABEL"


def test_bodies(desk: Any) -> None:
    url = "/computeruse/recordings"
    started = desk.service.http.post(f"{url}/start", content=b"not json")
    assert started.status_code == 201
    assert "_session_" in started.json()["fileName"]
    desk.post("recordings/stop", id=started.json()["id"])
    for content in (b"", b"{}", b'{"id": ""}', b'{"id": 5}'):
        wrong = desk.service.http.post(f"{url}/stop", content=content)
        assert (wrong.status_code, wrong.json()["code"]) == (400, "INVALID_REQUEST_BODY")
    assert desk.post("recordings/stop", status=404, id="../x")["code"] == "RECORDING_NOT_FOUND"
    desk.service.http.delete(f"{url}/{started.json()['id']}")


def test_films_of_others_are_found(desk: Any) -> None:
    desk.recordings.mkdir(exist_ok=True)
    path = desk.recordings / "holiday.mp4"
    path.write_bytes(b"film")
    found = desk.get("recordings")["recordings"]
    assert [(each["fileName"], each["status"]) for each in found] == [("holiday.mp4", "completed")]
    assert found[0]["id"] == str(uuid.uuid5(uuid.NAMESPACE_URL, str(path)))
    assert desk.service.http.delete(f"/computeruse/recordings/{found[0]['id']}").status_code == 204
