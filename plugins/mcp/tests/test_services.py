"""The tools for programs that are kept running."""

from __future__ import annotations

from .client import McpClient

SERVER = "exec python3 -u -m http.server --bind 127.0.0.1 0"


def test_the_life_of_a_service(mcp: McpClient) -> None:
    assert mcp.text("list_services") == "there are no services"
    state = mcp.structured(
        "start_service", name="web", command=SERVER, readyLog="^Serving HTTP on", wait=60
    )
    assert (state["state"], state["restarts"], state["command"]) == ("ready", 0, SERVER)
    log = mcp.structured("get_service_log", name="web")
    assert log["output"].startswith("Serving HTTP on")
    rest = mcp.structured("get_service_log", name="web", offset=log["nextOffset"])
    assert (rest["output"], rest["nextOffset"]) == ("", log["nextOffset"])
    assert f"[web: ready, pid {state['pid']}]" in mcp.text("list_services")
    assert mcp.structured("stop_service", name="web")["state"] == "stopped"
    assert mcp.structured("wait_for_service", name="web", state="stopped")["reason"] == "stopped"
    # Without a command it is the one that is there.
    again = mcp.structured("start_service", name="web")
    assert again["state"] == "ready"
    assert again["pid"] != state["pid"]
    mcp.text("stop_service", name="web")


def test_what_fails_shows_its_output(mcp: McpClient) -> None:
    shown = mcp.text("start_service", name="bad", command="echo why; exit 3", restart="never")
    assert shown == "why\n\n[bad: failed, exit code 3, exited] echo why; exit 3"
    assert "not found" in mcp.failure("stop_service", name="nope")
    assert "not found" in mcp.failure("start_service", name="nope")
    both = {"readyPort": 80, "readyLog": "x"}
    assert "one of" in mcp.failure("start_service", name="bad", command="x", **both)
    assert "regular expression" in mcp.failure(
        "start_service", name="bad", command="x", readyLog="("
    )
    slow = mcp.structured(
        "start_service", name="slow", command="exec sleep 1000", readyLog="n[e]ver", wait=1.2
    )
    assert slow["state"] == "starting"
    mcp.text("stop_service", name="slow")
