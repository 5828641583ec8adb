"""What can go wrong in the group ``computeruse``."""

from __future__ import annotations

from toolbox.errors import BadRequest
from toolbox.errors import NotFound
from toolbox.errors import ToolboxError
from toolbox.errors import Unavailable


class ComputerUseUnavailable(Unavailable):
    """A program or library the operation needs is missing, or has failed to start."""

    code = "COMPUTER_USE_UNAVAILABLE"


class DisplayUnavailable(Unavailable):
    """No X server answers on the display."""

    code = "DISPLAY_UNAVAILABLE"


class InputBusy(Unavailable):
    """Another gesture has not ended in time."""

    code = "INPUT_BUSY"


class GestureCancelled(BadRequest):
    """The client went away, or the desktop was stopped, while the gesture was made."""

    code = "GESTURE_CANCELLED"


class ProcessNotFound(NotFound):
    """No program of the desktop has this name."""

    code = "PROCESS_NOT_FOUND"


class InvalidInput(BadRequest):
    """A key, modifier, button or text that can't be sent."""

    code = "INVALID_INPUT"


class RecordingNotFound(NotFound):
    """No recording has this id, or none that is being made."""

    code = "RECORDING_NOT_FOUND"


class RecordingStillActive(BadRequest):
    """A recording that is being made can't be deleted."""

    code = "RECORDING_STILL_ACTIVE"


class FfmpegNotFound(Unavailable):
    """ffmpeg is not installed."""

    code = "RECORDING_FFMPEG_NOT_FOUND"


class RecordingFailed(ToolboxError):
    """ffmpeg has ended by itself."""

    code = "RECORDING_FAILED"


class InvalidLabel(BadRequest):
    """A label that can't be part of a file name."""

    code = "INVALID_LABEL"


class A11yUnavailable(Unavailable):
    """The accessibility bus can't be reached."""

    code = "A11Y_UNAVAILABLE"


class A11yNodeNotFound(NotFound):
    """The node has gone, or never was."""

    code = "A11Y_NODE_NOT_FOUND"


class A11yNoRoot(NotFound):
    """No application is there for the scope."""

    code = "A11Y_NO_ACCESSIBLE_ROOT"


class A11yActionNotSupported(BadRequest):
    """The node can't do this."""

    code = "A11Y_ACTION_NOT_SUPPORTED"


class A11yInvalidScope(BadRequest):
    """The scope is none of ``focused``, ``pid`` and ``all``."""

    code = "A11Y_INVALID_SCOPE"


class A11yInvalidRequest(BadRequest):
    """An id, filter or pid that means nothing."""

    code = "A11Y_INVALID_REQUEST"


class A11yFailed(ToolboxError):
    """The accessibility bus or an application answered something else than it should."""

    code = "A11Y_INTERNAL"
