"""Finishing what a replica was killed in the middle of.

A change of a network or a key is first in the sandbox's record or Secret, and then made where it
counts; an annotation tells what has been made.
"""

from __future__ import annotations

import logging
import random

from toolbox.errors import ToolboxError
from toolbox.linux.clock import awake
from toolbox_fleet_kubernetes.cache.cluster import Cluster
from toolbox_fleet_kubernetes.cache.entries import Entry
from toolbox_fleet_kubernetes.client.errors import NotThere
from toolbox_fleet_kubernetes.preparing import NotPrepared
from toolbox_fleet_kubernetes.preparing import Preparer
from toolbox_fleet_kubernetes.preparing import is_signed
from toolbox_fleet_kubernetes.resources.network import Networks
from toolbox_fleet_kubernetes.resources.network import is_settled

LONGEST = 20.0
"""Seconds after which a look begins nothing more."""

log = logging.getLogger("toolbox")


class Settler:
    """Looks for changes that stay unfinished. Every replica has one; twice does no harm."""

    def __init__(self, cluster: Cluster, networks: Networks, preparer: Preparer) -> None:
        self._cluster = cluster
        self._networks = networks
        self._preparer = preparer
        self._found: set[str] = set()
        """Sandboxes with an unfinished change at the last look: it may be going on."""

    def look(self) -> None:
        """Finish what was unfinished at the last look, too."""
        entries = [one for one in self._cluster.entries() if not one.deleting]
        found = [one for one in entries if not (is_settled(one) and is_signed(one))]
        again = [one for one in found if one.record.id in self._found]
        self._found = {one.record.id for one in found}
        # Services that don't respond must not keep the others waiting for ever.
        random.shuffle(again)
        end = awake() + LONGEST
        for entry in again:
            if awake() < end:
                self._settle(entry)

    def _settle(self, entry: Entry) -> None:
        try:
            if not is_settled(entry):
                self._networks.apply(entry)
            if not is_signed(entry):
                self._preparer.sign(entry)
        except (ToolboxError, NotPrepared, NotThere) as error:
            log.info("a change of sandbox %s isn't finished yet: %s", entry.record.id, error)
