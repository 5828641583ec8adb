"""The dashboard of ``conf/grafana``: what it shows is what a control plane serves."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families as parse

from toolbox.testing import Service

DASHBOARD = json.loads(
    (Path(__file__).parent.parent / "conf" / "grafana" / "fleet.json").read_text()
)
EXPRESSIONS = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
SETTINGS = """
[fleet]
backend = "local"

[fleet.local]
data = "{data}"
on_stop = "stop"
isolation = "none"

[metrics]
enabled = true
"""

Samples = dict[str, list[tuple[dict[str, str], float]]]


@pytest.fixture(scope="module")
def samples() -> Iterator[Samples]:
    """What a fleet serves after it has created a sandbox and forwarded a request to it."""
    directory = Path(tempfile.mkdtemp(prefix="toolbox-test-"))
    fleet = Service(directory, settings=SETTINGS.format(data=directory / "fleet"))
    try:
        assert fleet.http.post("/api/sandbox", json={"snapshot": "no-such"}).is_client_error
        sandbox = fleet.http.post("/api/sandbox", json={}).json()["id"]
        where = f"/api/sandbox/{sandbox}"
        fleet.wait_for(lambda: fleet.http.get(where).json()["state"] == "started", "the start")
        execute = {"command": "echo out"}
        fleet.http.post(f"/toolbox/{sandbox}/process/execute", json=execute).raise_for_status()
        found: Samples = {}
        for family in parse(fleet.http.get("/metrics").text):
            for sample in family.samples:
                found.setdefault(sample.name, []).append((sample.labels, sample.value))
        yield found
        fleet.http.delete(where)
    finally:
        fleet.stop()
        shutil.rmtree(directory, ignore_errors=True)


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_every_expression_names_what_is_served(expression: str, samples: Samples) -> None:
    selectors = re.findall(r"\b((?:toolbox|process)_\w+)\{([^}]*)\}", expression)
    assert selectors
    for name, selector in selectors:
        matchers = re.findall(r'(\w+)(=~|!~|=)"([^"]*)"', selector)
        # The job is a label of whoever scrapes.
        own = [matcher for matcher in matchers if matcher[0] != "job"]
        assert any(matches(labels, own) for labels, _ in samples[name]), (name, selector)
        grouped = re.findall(r"by \(([^)]*)\)", expression)
        for label in {label.strip() for group in grouped for label in group.split(",")}:
            assert label == "instance" or label in samples[name][0][0]


def matches(labels: dict[str, str], matchers: list[tuple[str, str, str]]) -> bool:
    tests = {
        "=": lambda value, wanted: value == wanted,
        "=~": lambda value, wanted: re.fullmatch(wanted, value) is not None,
        "!~": lambda value, wanted: re.fullmatch(wanted, value) is None,
    }
    return all(tests[operator](labels[name], wanted) for name, operator, wanted in matchers)


def test_the_numbers_are_those_of_what_happened(samples: Samples) -> None:
    def value(name: str, **labels: str) -> float:
        (found,) = [value for own, value in samples[name] if own == labels]
        return found

    assert value("toolbox_fleet_sandboxes", state="started") == 1
    for result, count in (("accepted", 1), ("refused", 1), ("failed", 0)):
        assert value("toolbox_fleet_creates_total", result=result) == count
    assert value("toolbox_fleet_warm_hits_total") == 0
    assert value("toolbox_fleet_ready_total") == 1
    assert value("toolbox_fleet_ready_within_total", le="+Inf") == 1
    within = [value for _, value in samples["toolbox_fleet_ready_within_total"]]
    assert within == sorted(within)
    assert value("toolbox_fleet_ready_time_seconds_total") > 0


def test_it_can_be_imported_anywhere() -> None:
    variables = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)\}?", " ".join(EXPRESSIONS)))
    assert used - {"__rate_interval"} <= variables
    for panel in DASHBOARD["panels"]:
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
