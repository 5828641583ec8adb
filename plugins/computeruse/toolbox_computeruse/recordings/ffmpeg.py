"""A recording in progress: an ffmpeg process that captures the screen."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Literal

from toolbox.linux import clock
from toolbox.linux.clock import awake
from toolbox.processes import popen
from toolbox_computeruse.recordings.models import Recording

FRAMES = 30
"""Frames per second."""
BEGIN = 15.0
"""Maximum seconds until ffmpeg writes: on a busy machine it is slow to start."""
FINISH = 10.0
"""Maximum seconds for ffmpeg to finish the file."""
POLL = 0.02
"""Seconds between checks for the file."""
MAX_MESSAGES = 2000
"""Bytes of ffmpeg's messages that are kept, from their end."""


class FfmpegRecorder:
    """A recorder of the screen of ``size`` into ``path``; calls ``ended`` when it has stopped."""

    def __init__(
        self,
        ffmpeg: str,
        display: str,
        size: tuple[int, int],
        path: Path,
        number: str,
        ended: Callable[[Recording], None],
    ) -> None:
        self.path = path
        self.failure = ""
        """The last message of ffmpeg, once it has exited."""
        self._number = number
        self._ended = ended
        self._started = time.monotonic()
        self._start_time = _now()
        self._end_time = ""
        self._duration = 0.0
        self._status: Literal["recording", "completed", "failed"] = "recording"
        self._stopping = False
        self._over = threading.Event()
        self._process: subprocess.Popen[bytes] = popen(
            _command(ffmpeg, display, size, path),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )

    def watch(self) -> None:
        """Start to watch ffmpeg; from now on ``ended`` may be called."""
        threading.Thread(target=self._watch, name="toolbox-recorder", daemon=True).start()

    def begun(self) -> bool:
        """Wait until ffmpeg writes to the file; report whether it does."""
        deadline = awake() + BEGIN
        while awake() < deadline:
            if self._over.wait(POLL):
                return self._stopping
            with contextlib.suppress(OSError):
                if self.path.stat().st_size:
                    return True
        return self.path.exists()

    def recording(self) -> Recording:
        """Return the recording's current state."""
        done = self._status != "recording"
        size = None
        if done:
            with contextlib.suppress(OSError):
                size = self.path.stat().st_size
        return Recording(
            id=self._number,
            file_name=self.path.name,
            file_path=str(self.path),
            start_time=self._start_time,
            status=self._status,
            end_time=self._end_time if done else None,
            duration_seconds=self._duration if done else None,
            size_bytes=size,
        )

    def ask_to_stop(self) -> None:
        """Ask ffmpeg to finish the file, without waiting."""
        self._stopping = True
        assert self._process.stdin is not None
        with contextlib.suppress(OSError, ValueError):
            self._process.stdin.write(b"q")
            self._process.stdin.close()

    def stop(self) -> Recording:
        """Finish the file, by force if necessary: a file that was cut off can still be played."""
        self.ask_to_stop()
        if not clock.wait(self._over, FINISH):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._over.wait(FINISH)
        return self.recording()

    def _watch(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as stream:
            # Read to the end, so that ffmpeg never blocks on a full pipe.
            messages = b""
            while data := os.read(stream.fileno(), 65536):
                messages = (messages + data)[-MAX_MESSAGES:]
        self._process.wait()
        lines = messages.decode("utf-8", "replace").strip().splitlines()
        self.failure = lines[-1] if lines else f"exited with status {self._process.returncode}"
        self._end_time = _now()
        self._duration = round(time.monotonic() - self._started, 3)
        # Without a request to stop it is a failure: the X server ended, or the disk is full.
        self._status = "completed" if self._stopping else "failed"
        with contextlib.suppress(OSError):
            self._process.stdin and self._process.stdin.close()
        self._ended(self.recording())
        self._over.set()


def _command(ffmpeg: str, display: str, size: tuple[int, int], path: Path) -> list[str]:
    grab = ["-f", "x11grab", "-framerate", str(FRAMES), "-video_size", f"{size[0]}x{size[1]}"]
    # With halved colors (4:2:0) H.264 supports even sides only.
    encode = ["-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2", "-c:v", "libx264", "-preset", "ultrafast"]
    # A fragment ends at a key frame: at most the last two seconds are lost.
    fragments = ["-movflags", "frag_keyframe+empty_moov+default_base_moof", "-g", str(2 * FRAMES)]
    # Packets are written at once, for downloads of an active recording.
    flush = ["-flush_packets", "1", "-pix_fmt", "yuv420p"]
    # Without the prefix "file:" a colon in the path would mark a protocol.
    quiet = [ffmpeg, "-hide_banner", "-loglevel", "error", "-nostats"]
    return [*quiet, *grab, "-i", display, *encode, *fragments, *flush, "-y", f"file:{path}"]


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="milliseconds")
