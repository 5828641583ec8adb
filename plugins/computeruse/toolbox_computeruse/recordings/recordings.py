"""Screen recordings, made by ffmpeg.

The files are fragmented MP4: however ffmpeg ends, all but the last moment can be played. Each has a
hidden metadata file next to it; without one, a recording is described by its file name and time.
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

from toolbox_computeruse.connection import server_responds
from toolbox_computeruse.errors import DisplayUnavailable
from toolbox_computeruse.errors import FfmpegNotFound
from toolbox_computeruse.errors import InvalidLabel
from toolbox_computeruse.errors import RecordingFailed
from toolbox_computeruse.errors import RecordingNotFound
from toolbox_computeruse.errors import RecordingStillActive
from toolbox_computeruse.recordings.ffmpeg import FfmpegRecorder
from toolbox_computeruse.recordings.models import Recording
from toolbox_computeruse.screen.displays import XDisplays

MAX_LABEL = 100
"""Maximum bytes of a label."""


class FfmpegRecordings:
    """An implementation of :class:`toolbox_computeruse.backend.Recordings` on ffmpeg."""

    def __init__(self, display: str, displays: XDisplays, directory: Path) -> None:
        self._display = display
        self._displays = displays
        self._directory = directory
        self._lock = threading.Lock()
        self._active: dict[str, FfmpegRecorder] = {}

    def start(self, label: str) -> Recording:
        self._directory.mkdir(parents=True, exist_ok=True)
        ffmpeg = shutil.which("ffmpeg")
        if ffmpeg is None:
            raise FfmpegNotFound("ffmpeg is not installed")
        name = _checked(label) or "session"
        size = self._displays.size()
        number, now = str(uuid.uuid4()), datetime.now()
        path = self._directory / f"{number}_{name}_{now:%Y%m%d_%H%M%S}.mp4"
        recorder = FfmpegRecorder(ffmpeg, self._display, size, path, number, self._ended)
        # Registered before it is watched, since watching may report its end at once.
        with self._lock:
            self._active[number] = recorder
        recorder.watch()
        if not recorder.begun():
            recorder.stop()
            if not server_responds(self._display):
                raise DisplayUnavailable(f"the X server on {self._display} disconnected")
            raise RecordingFailed(f"ffmpeg failed: {recorder.failure}")
        return recorder.recording()

    def stop(self, recording_id: str) -> Recording:
        with self._lock:
            recorder = self._active.get(recording_id)
        if recorder is None:
            raise RecordingNotFound(f"no active recording {recording_id!r}")
        return recorder.stop()

    def list(self) -> list[Recording]:
        with self._lock:
            active = [recorder.recording() for recorder in self._active.values()]
        # An active recording has its file there as well.
        names = {recording.file_name for recording in active}
        try:
            paths = sorted(self._directory.glob("*.mp4"))
        except OSError:
            paths = []
        finished = [_describe(path) for path in paths if path.name not in names]
        return active + [recording for recording in finished if recording is not None]

    def get(self, recording_id: str) -> Recording:
        for recording in self.list():
            if recording.id == recording_id:
                return recording
        raise RecordingNotFound(f"no recording {recording_id!r}")

    def open(self, recording_id: str) -> BinaryIO:
        path = Path(self.get(recording_id).file_path)
        try:
            # An open file stays readable if the recording is deleted during a download.
            return path.open("rb", buffering=0)
        except FileNotFoundError:
            raise RecordingNotFound(f"the file of recording {recording_id!r} is missing") from None

    def delete(self, recording_id: str) -> None:
        found = self.get(recording_id)
        if found.status == "recording":
            raise RecordingStillActive(f"recording {recording_id!r} is still active")
        path = Path(found.file_path)
        path.unlink(missing_ok=True)
        metadata_path(path).unlink(missing_ok=True)

    def close(self) -> None:
        """Stop all active recordings."""
        with self._lock:
            active = list(self._active.values())
        # All are asked first, so that they finish at the same time.
        for recorder in active:
            recorder.ask_to_stop()
        for recorder in active:
            recorder.stop()

    def _ended(self, recording: Recording) -> None:
        path = Path(recording.file_path)
        with contextlib.suppress(OSError):  # The recording is usable without its metadata.
            if path.exists():
                metadata_path(path).write_bytes(msgspec.json.encode(recording))
        with self._lock:
            self._active.pop(recording.id, None)


def metadata_path(path: Path) -> Path:
    """Return the path of the metadata file for the recording at ``path``."""
    return path.with_name(f".{path.name}.json")


def _checked(label: str) -> str:
    """Return the label as part of a file name. Raises InvalidLabel."""
    name = label.strip()
    if len(label.encode("utf-8", "replace")) > MAX_LABEL:
        raise InvalidLabel(f"the label is too long (limit {MAX_LABEL} bytes)")
    if name.startswith("."):
        raise InvalidLabel("a label can't start with a dot")
    if label and not name:
        raise InvalidLabel("the label is blank")
    # Strict, because the name is also part of paths, URLs and shell commands of clients.
    if not all(char.isascii() and (char.isalnum() or char in " \t\n\r\v\f._-") for char in name):
        raise InvalidLabel("a label may contain letters, digits, spaces, '.', '_' and '-' only")
    return name


def _describe(path: Path) -> Recording | None:
    """Return a finished recording; None if it was deleted in between."""
    try:
        info = path.stat()
        metadata = metadata_path(path).read_bytes()
    except FileNotFoundError as error:
        return _without_metadata(path) if error.filename != str(path) else None
    try:
        known = msgspec.json.decode(metadata, type=Recording)
    except msgspec.DecodeError:
        return _without_metadata(path)
    return msgspec.structs.replace(
        known, size_bytes=info.st_size, file_name=path.name, file_path=str(path)
    )


def _without_metadata(path: Path) -> Recording | None:
    try:
        info = path.stat()
    except OSError:
        return None
    try:
        # Recordings made here start with their id; others get one that depends on the path.
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
