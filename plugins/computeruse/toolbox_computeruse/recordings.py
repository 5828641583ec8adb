"""Films of the screen, made by ffmpeg.

The files are fragmented MP4: whatever ends ffmpeg, all but the last moment can be played. Beside
each lies a hidden file of what is known of it; a film without one is told by its name.
"""

from __future__ import annotations

import contextlib
import shutil
import threading
import uuid
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

import msgspec

from toolbox_computeruse.connection import server_answers
from toolbox_computeruse.displays import XDisplays
from toolbox_computeruse.errors import DisplayUnavailable
from toolbox_computeruse.errors import FfmpegNotFound
from toolbox_computeruse.errors import InvalidLabel
from toolbox_computeruse.errors import RecordingFailed
from toolbox_computeruse.errors import RecordingNotFound
from toolbox_computeruse.errors import RecordingStillActive
from toolbox_computeruse.filming import Filming
from toolbox_computeruse.recording_models import Recording

MAX_LABEL = 100
"""Bytes."""


class FfmpegRecordings:
    """See :class:`toolbox_computeruse.backend.Recordings`."""

    def __init__(self, display: str, displays: XDisplays, directory: Path) -> None:
        self._display = display
        self._displays = displays
        self._directory = directory
        self._lock = threading.Lock()
        self._active: dict[str, Filming] = {}

    def start(self, label: str) -> Recording:
        self._directory.mkdir(parents=True, exist_ok=True)
        ffmpeg = shutil.which("ffmpeg")
        if ffmpeg is None:
            raise FfmpegNotFound("ffmpeg is not installed")
        name = _checked(label) or "session"
        size = self._displays.size()
        number, now = str(uuid.uuid4()), datetime.now()
        path = self._directory / f"{number}_{name}_{now:%Y%m%d_%H%M%S}.mp4"
        filming = Filming(ffmpeg, self._display, size, path, number, self._ended)
        with self._lock:
            self._active[number] = filming
        filming.watch()
        if not filming.begun():
            filming.stop()
            if not server_answers(self._display):
                raise DisplayUnavailable(f"the X server on {self._display} went away")
            raise RecordingFailed(f"ffmpeg has failed: {filming.complaint}")
        return filming.recording()

    def stop(self, recording_id: str) -> Recording:
        with self._lock:
            filming = self._active.get(recording_id)
        if filming is None:
            raise RecordingNotFound(f"no recording {recording_id!r} is being made")
        return filming.stop()

    def list(self) -> list[Recording]:
        with self._lock:
            active = [filming.recording() for filming in self._active.values()]
        names = {recording.file_name for recording in active}
        try:
            paths = sorted(self._directory.glob("*.mp4"))
        except OSError:
            paths = []
        finished = [_describe(path) for path in paths if path.name not in names]
        return active + [each for each in finished if each is not None]

    def get(self, recording_id: str) -> Recording:
        for each in self.list():
            if each.id == recording_id:
                return each
        raise RecordingNotFound(f"no recording {recording_id!r}")

    def open(self, recording_id: str) -> BinaryIO:
        path = Path(self.get(recording_id).file_path)
        try:
            return path.open("rb", buffering=0)
        except FileNotFoundError:
            raise RecordingNotFound(f"the file of the recording {recording_id!r} is gone") from None

    def delete(self, recording_id: str) -> None:
        found = self.get(recording_id)
        if found.status == "recording":
            raise RecordingStillActive(f"the recording {recording_id!r} is still being made")
        path = Path(found.file_path)
        path.unlink(missing_ok=True)
        notes_path(path).unlink(missing_ok=True)

    def close(self) -> None:
        """End all that are being made."""
        with self._lock:
            active = list(self._active.values())
        for filming in active:
            filming.ask_to_stop()
        for filming in active:
            filming.stop()

    def _ended(self, recording: Recording) -> None:
        path = Path(recording.file_path)
        with contextlib.suppress(OSError):  # The film itself matters more.
            if path.exists():
                notes_path(path).write_bytes(msgspec.json.encode(recording))
        with self._lock:
            self._active.pop(recording.id, None)


def notes_path(path: Path) -> Path:
    """Where it is written down what is known of the film at ``path``."""
    return path.with_name(f".{path.name}.json")


def _checked(label: str) -> str:
    """The label as it goes into a file's name. Raises InvalidLabel."""
    name = label.strip()
    if len(label.encode("utf-8", "replace")) > MAX_LABEL:
        raise InvalidLabel(f"a label has at most {MAX_LABEL} bytes")
    if name.startswith("."):
        raise InvalidLabel("a label doesn't begin with a dot")
    if label and not name:
        raise InvalidLabel("the label is blank")
    if not all(char.isascii() and (char.isalnum() or char in " \t\n\r\v\f._-") for char in name):
        raise InvalidLabel("a label has letters, digits, spaces, '.', '_' and '-' only")
    return name


def _describe(path: Path) -> Recording | None:
    """A finished film, or None if it is gone by now."""
    try:
        info = path.stat()
        notes = notes_path(path).read_bytes()
    except FileNotFoundError as error:
        return _without_notes(path) if error.filename != str(path) else None
    try:
        known = msgspec.json.decode(notes, type=Recording)
    except msgspec.DecodeError:
        return _without_notes(path)
    return msgspec.structs.replace(
        known, size_bytes=info.st_size, file_name=path.name, file_path=str(path)
    )


def _without_notes(path: Path) -> Recording | None:
    try:
        info = path.stat()
    except OSError:
        return None
    try:
        number = str(uuid.UUID(path.name.partition("_")[0]))
    except ValueError:
        number = str(uuid.uuid5(uuid.NAMESPACE_URL, str(path)))
    time = datetime.fromtimestamp(info.st_mtime).astimezone().isoformat(timespec="milliseconds")
    return Recording(
        id=number,
        file_name=path.name,
        file_path=str(path),
        start_time=time,
        end_time=time,
        status="completed",
        size_bytes=info.st_size,
    )
