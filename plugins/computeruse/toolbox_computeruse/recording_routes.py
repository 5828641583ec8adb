"""The operations on recordings."""

from __future__ import annotations

import contextlib

from toolbox.errors import InvalidBody
from toolbox.request import Body
from toolbox.request import decode_json
from toolbox.response import FileAnswer
from toolbox_computeruse import routes
from toolbox_computeruse.backend import ComputerUseBackend
from toolbox_computeruse.errors import DisplayUnavailable
from toolbox_computeruse.errors import FfmpegNotFound
from toolbox_computeruse.errors import InvalidLabel
from toolbox_computeruse.errors import RecordingFailed
from toolbox_computeruse.errors import RecordingNotFound
from toolbox_computeruse.errors import RecordingStillActive
from toolbox_computeruse.recording_models import Recording
from toolbox_computeruse.recording_models import Recordings
from toolbox_computeruse.recording_models import StartRecordingRequest
from toolbox_computeruse.recording_models import StopRecordingRequest

group = routes.group

MAX_BODY = 65536


@group.post(
    "/computeruse/recordings/start",
    status=201,
    errors=(InvalidLabel, FfmpegNotFound, DisplayUnavailable, RecordingFailed),
)
def start_recording(backend: ComputerUseBackend, body: Body) -> Recording:
    """Film the screen until it is stopped. The JSON body ``{"label": ...}`` may be left out."""
    request = StartRecordingRequest()
    with contextlib.suppress(InvalidBody):
        request = decode_json(body.read_all(MAX_BODY), StartRecordingRequest)
    return backend.recordings.start(request.label or "")


@group.post("/computeruse/recordings/stop", errors=(RecordingNotFound,))
def stop_recording(backend: ComputerUseBackend, body: StopRecordingRequest) -> Recording:
    """End a recording that is being made."""
    return backend.recordings.stop(body.id)


@group.get("/computeruse/recordings")
def list_recordings(backend: ComputerUseBackend) -> Recordings:
    """List the recordings, those being made first."""
    return Recordings(backend.recordings.list())


@group.get("/computeruse/recordings/{id}", errors=(RecordingNotFound,))
def get_recording(backend: ComputerUseBackend, id: str) -> Recording:
    """Describe a recording."""
    return backend.recordings.get(id)


@group.get("/computeruse/recordings/{id}/download", errors=(RecordingNotFound,))
def download_recording(backend: ComputerUseBackend, id: str) -> FileAnswer:
    """Send a recording as MP4, whole or a range of it; one that is being made, as far as it is."""
    file = backend.recordings.open(id)
    disposition = f'attachment; filename="{id}.mp4"'
    return FileAnswer(file, "video/mp4", {"Content-Disposition": disposition})


@group.delete(
    "/computeruse/recordings/{id}",
    status=204,
    errors=(RecordingStillActive, RecordingNotFound),
)
def delete_recording(backend: ComputerUseBackend, id: str) -> None:
    """Delete a recording."""
    backend.recordings.delete(id)
