"""The errors of the group ``computeruse``."""

from __future__ import annotations

from toolbox.errors import BadRequest
from toolbox.errors import NotFound
from toolbox.errors import ToolboxError
from toolbox.errors import Unavailable


class ComputerUseUnavailable(Unavailable):
    """A required program or library is missing, or failed to start."""

    code = "COMPUTER_USE_UNAVAILABLE"


class DisplayUnavailable(Unavailable):
    """No X server responds on the display."""

    code = "DISPLAY_UNAVAILABLE"


class InputBusy(Unavailable):
    """Another gesture did not end in time."""

    code = "INPUT_BUSY"


class GestureCanceled(BadRequest):
    """The client disconnected, or the desktop was stopped, during the gesture."""

    code = "GESTURE_CANCELLED"


class ProcessNotFound(NotFound):
    """The desktop has no program of this name."""

    code = "PROCESS_NOT_FOUND"


class InvalidInput(BadRequest):
    """An invalid key, modifier, button or text."""

    code = "INVALID_INPUT"


class RecordingNotFound(NotFound):
    """No recording, or no active one, has this id."""

    code = "RECORDING_NOT_FOUND"


class RecordingStillActive(BadRequest):
    """An active recording can't be deleted."""

    code = "RECORDING_STILL_ACTIVE"


class FfmpegNotFound(Unavailable):
    """ffmpeg is not installed."""

    code = "RECORDING_FFMPEG_NOT_FOUND"


class RecordingFailed(ToolboxError):
    """ffmpeg exited unexpectedly."""

    code = "RECORDING_FAILED"


class InvalidLabel(BadRequest):
    """A label that is not allowed in a file name."""

    code = "INVALID_LABEL"


class A11yUnavailable(Unavailable):
    """The accessibility bus is unreachable."""

    code = "A11Y_UNAVAILABLE"


class A11yNodeNotFound(NotFound):
    """The node doesn't exist, or no longer does."""

    code = "A11Y_NODE_NOT_FOUND"


class A11yNoRoot(NotFound):
    """No application matches the scope."""

    code = "A11Y_NO_ACCESSIBLE_ROOT"


class A11yActionNotSupported(BadRequest):
    """The node doesn't support this action."""

    code = "A11Y_ACTION_NOT_SUPPORTED"


class A11yInvalidScope(BadRequest):
    """The scope is not ``focused``, ``pid`` or ``all``."""

    code = "A11Y_INVALID_SCOPE"


class A11yInvalidRequest(BadRequest):
    """An invalid id, filter or pid."""

    code = "A11Y_INVALID_REQUEST"


class A11yFailed(ToolboxError):
    """The accessibility bus or an application sent an unexpected reply."""

    code = "A11Y_INTERNAL"
