"""Making the backend of a group."""

from __future__ import annotations

import logging
from typing import Any

from toolbox.plugins.conformance import lacking_now
from toolbox.plugins.conformance import refuse_incomplete
from toolbox.settings import SettingsError

log = logging.getLogger("toolbox")


def make_backend(served: Any, context: Any) -> Any:
    """Return the backend, of a group that is served, made with a context. Raises SettingsError; for
    a restarted worker, whatever went wrong: that is tried again.
    """
    where = f"{served.group.section}.backend"
    name = served.backend.name
    try:
        backend = served.backend_class(served.backend_settings, context)
    except SettingsError:
        raise
    except Exception as error:
        if context.restarted:
            raise
        log.exception("the backend %r of %s can't be made", name, served.group.name)
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise SettingsError(f"{where}: {name!r} can't be made: {reason}") from None
    refuse_incomplete(where, name, lacking_now(backend, served.group.backend))
    return backend
