"""The figures of a backend: help texts, units, counters and labels of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families as parse

from toolbox.testing import Service

PLUGIN = """
from toolbox import hookimpl
from toolbox.group import Group
from toolbox.plugins import BackendSpec
from toolbox.plugins.capabilities import Figure


class Kitchen:
    def __init__(self, settings, context):
        pass

    def figures(self):
        for size in ("small", "large"):
            labels = {"size": size}
            yield Figure(name="cakes", value=5, help="Baked.", kind="counter", labels=labels)
        yield Figure(name="flour", value=1.5, help="Flour left.", unit="bytes")
        yield Figure(name="cooks", value=2, help="Cooks at work.")


@hookimpl
def toolbox_group():
    return Group("kitchen", backend=object, default_backend="own")


@hookimpl
def toolbox_backends():
    return [BackendSpec(group="kitchen", name="own", target="kitchen:Kitchen")]
"""


def test_figures_become_metrics(tmp_path: Path, make_service: Callable[..., Service]) -> None:
    info = tmp_path / "site" / "kitchen-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: kitchen\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[toolbox.plugins]\nkitchen = kitchen\n")
    (tmp_path / "site" / "kitchen.py").write_text(PLUGIN)
    service = make_service(
        settings="[metrics]\nenabled = true\n", env={"PYTHONPATH": str(tmp_path / "site")}
    )
    families = {family.name: family for family in parse(service.http.get("/metrics").text)}
    cakes = families["toolbox_kitchen_cakes"]
    assert (cakes.type, cakes.documentation) == ("counter", "Baked.")
    found = {(sample.name, sample.labels["size"]): sample.value for sample in cakes.samples}
    assert found == {
        ("toolbox_kitchen_cakes_total", "small"): 5,
        ("toolbox_kitchen_cakes_total", "large"): 5,
    }
    assert families["toolbox_kitchen_flour_bytes"].documentation == "Flour left."
    cooks = families["toolbox_kitchen_cooks"]
    assert (cooks.type, cooks.samples[0].value) == ("gauge", 2)
