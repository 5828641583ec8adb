"""The operations on recordings."""

from __future__ import annotations

import contextlib

from toolbox.errors import InvalidBody
from toolbox.group import Operations
from toolbox.request import Body
from toolbox.request import decode_json
from toolbox.response import FileResponse
from toolbox_computeruse.backend import ComputerUseBackend
from toolbox_computeruse.errors import DisplayUnavailable
from toolbox_computeruse.errors import FfmpegNotFound
from toolbox_computeruse.errors import InvalidLabel
from toolbox_computeruse.errors import RecordingFailed
from toolbox_computeruse.errors import RecordingNotFound
from toolbox_computeruse.errors import RecordingStillActive
from toolbox_computeruse.recordings.models import Recording
from toolbox_computeruse.recordings.models import Recordings
from toolbox_computeruse.recordings.models import StartRecordingRequest
from toolbox_computeruse.recordings.models import StopRecordingRequest

operations = Operations()

MAX_BODY = 65536
"""Maximum bytes of the body that starts a recording."""


@operations.post(
    "/computeruse/recordings/start",
    status=201,
    errors=(InvalidLabel, FfmpegNotFound, DisplayUnavailable, RecordingFailed),
)
def start_recording(backend: ComputerUseBackend, body: Body) -> Recording:
    """Record the screen until stopped. The JSON body ``{"label": ...}`` is optional."""
    # Clients may send no body at all; an invalid one counts as none.
    request = StartRecordingRequest()
    with contextlib.suppress(InvalidBody):
        request = decode_json(body.read_all(MAX_BODY), StartRecordingRequest)
    return backend.recordings.start(request.label or "")


@operations.post("/computeruse/recordings/stop", errors=(RecordingNotFound,))
def stop_recording(backend: ComputerUseBackend, body: StopRecordingRequest) -> Recording:
    """Stop an active recording."""
    return backend.recordings.stop(body.id)


@operations.get("/computeruse/recordings")
def list_recordings(backend: ComputerUseBackend) -> Recordings:
    """List the recordings, active ones first."""
    return Recordings(backend.recordings.list())


@operations.get("/computeruse/recordings/{id}", errors=(RecordingNotFound,))
def get_recording(backend: ComputerUseBackend, id: str) -> Recording:
    """Describe a recording."""
    return backend.recordings.get(id)


@operations.get("/computeruse/recordings/{id}/download", errors=(RecordingNotFound,))
def download_recording(backend: ComputerUseBackend, id: str) -> FileResponse:
    """Send a recording, or a range of it, as MP4; an active one as far as it has been written."""
    file = backend.recordings.open(id)
    disposition = f'attachment; filename="{id}.mp4"'
    return FileResponse(file, "video/mp4", {"Content-Disposition": disposition})


@operations.delete(
    "/computeruse/recordings/{id}",
    status=204,
    errors=(RecordingStillActive, RecordingNotFound),
)
def delete_recording(backend: ComputerUseBackend, id: str) -> None:
    """Delete a recording."""
    backend.recordings.delete(id)
