"""Trying again what others have changed at the same time."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Iterator

from toolbox.errors import Unavailable
from toolbox_fleet_kubernetes.client.errors import AGAIN

PATIENCE = 10.0
"""Seconds after which a change that others always forestall is given up."""

SHORTEST, LONGEST = 0.01, 0.5
"""Seconds until the next attempt at most: more each time."""


def attempts() -> Iterator[int]:
    """Yield the number of each attempt, with pauses in between; the caller leaves when it has
    succeeded. Raises Unavailable in the end: the race is nothing that clients could settle.
    """
    end = time.monotonic() + PATIENCE
    for number in itertools.count():
        yield number
        if time.monotonic() >= end:
            raise Unavailable("the object is being changed by others all the time", AGAIN)
        # Random, so that those who have met once don't meet again.
        time.sleep(random.uniform(0, min(LONGEST, SHORTEST * 2 ** min(number, 10))))
