"""Operations for people who watch the desktop in a browser; not in the Daytona API."""

from __future__ import annotations

from toolbox.group import Operations
from toolbox.request import RequestInfo
from toolbox.response import FileResponse
from toolbox.response import TextResponse
from toolbox_computeruse.backend import ComputerUseBackend
from toolbox_computeruse.errors import ComputerUseUnavailable
from toolbox_computeruse.errors import DisplayUnavailable
from toolbox_computeruse.errors import InputBusy
from toolbox_computeruse.errors import RecordingNotFound
from toolbox_computeruse.recordings.links import SCHEME
from toolbox_computeruse.recordings.links import link
from toolbox_computeruse.recordings.models import PlayQuery
from toolbox_computeruse.recordings.models import RecordingLink
from toolbox_computeruse.screen.models import FrameQuery

operations = Operations()

SIZE = "X-Toolbox-Screen"
"""Header with the size of the screen in its own pixels: ``WIDTHxHEIGHT``."""


@operations.get(
    "/x/computeruse/screen",
    errors=(DisplayUnavailable, ComputerUseUnavailable, InputBusy),
    content_type="image/*",
    other_statuses=(304,),
)
def watch_screen(
    backend: ComputerUseBackend, query: FrameQuery, request: RequestInfo
) -> TextResponse:
    """Return the screen as an image file, once it has changed.

    With the last ``ETag`` in ``If-None-Match`` the response comes when the screen has changed, or
    is 304 after ``wait`` seconds, earlier if many others wait. An image is up to 60 ms old.
    ``X-Toolbox-Screen`` is the size of the screen, WIDTHxHEIGHT.
    """
    known = request.headers.get("If-None-Match", "").removeprefix("W/").strip('"')
    frame = backend.frames.frame(query.view, known, query.wait, request.is_disconnected)
    if frame is None:
        return TextResponse(b"", status=304, headers={"ETag": f'"{known}"'})
    return TextResponse(
        frame.content,
        f"image/{frame.kind}",
        headers={
            "ETag": f'"{frame.tag}"',
            "Cache-Control": "no-store",
            SIZE: f"{frame.width}x{frame.height}",
        },
    )


@operations.post("/x/computeruse/recordings/{id}/link", errors=(RecordingNotFound,))
def link_recording(backend: ComputerUseBackend, id: str) -> RecordingLink:
    """Make a link with which a player fetches a recording without the token, for an hour.

    It is relative to the service, and also ends with the service's process.
    """
    backend.recordings.get(id)
    return link(id)


@operations.get(
    "/x/computeruse/recordings/play",
    signed=SCHEME,
    errors=(RecordingNotFound,),
    content_type="video/mp4",
)
def play_recording(backend: ComputerUseBackend, query: PlayQuery) -> FileResponse:
    """Send a recording, or a range of it, to a player that has a link."""
    file = backend.recordings.open(query.id)
    return FileResponse(file, "video/mp4", {"Cache-Control": "no-store"})
