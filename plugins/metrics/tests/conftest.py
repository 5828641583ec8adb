"""A service that counts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families as parse

from toolbox.testing import Service


class Counting(Service):
    """A service with metrics."""

    def figure(self, sample: str, **labels: str) -> float:
        """The sum of the samples of that name that have those labels."""
        text = self.http.get("/metrics").raise_for_status().text
        return sum(
            each.value
            for family in parse(text)
            for each in family.samples
            if each.name == sample and labels.items() <= each.labels.items()
        )


@pytest.fixture(scope="module")
def counting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Counting]:
    directory: Path = tmp_path_factory.mktemp("service")
    running = Counting(directory, settings="[metrics]\nenabled = true\n")
    yield running
    running.stop()
