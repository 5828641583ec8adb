"""Servers that misbehave, end, hang and are stopped: toys, one for each."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from toolbox.processes import descendants

MakeToy = Callable[..., Any]


def error(answer: httpx.Response) -> tuple[int, str]:
    body = answer.json()
    assert body["source"] == "DAYTONA_DAEMON"
    return answer.status_code, body["code"]


def test_shakes_hands_and_says_goodbye(make_toy: MakeToy) -> None:
    toy = make_toy(more="settings = {toy = {depth = 3}}\ninitialization_options = {a = 1}")
    answer = toy.start()
    assert (answer.status_code, answer.content) == (200, b"")
    toy.wait_for("workspace/didChangeConfiguration")
    toy.complete(toy.write("a.toy", "Toy"))
    assert toy.stop().status_code == 200
    assert not toy.alive()
    received = toy.received()
    asked = received[1]["params"]
    assert asked["rootUri"] == toy.directory.as_uri()
    assert asked["initializationOptions"] == {"a": 1}
    assert asked["clientInfo"]["name"] == "sandbox-toolbox"
    assert toy.methods() == [
        "initialize",
        "initialized",
        "workspace/didChangeConfiguration",
        "workspace/didChangeWatchedFiles",
        "textDocument/didOpen",
        "textDocument/completion",
        "shutdown",
        "exit",
    ]
    assert "params" not in received[-1] and "params" not in received[-2]


def test_is_started_once_whoever_asks(make_toy: MakeToy) -> None:
    toy = make_toy()
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: toy.start().status_code, range(10)))
    assert answers == [200] * 10
    assert len(toy.pids()) == 1


def test_nothing_works_before_the_start_or_after_the_stop(make_toy: MakeToy) -> None:
    toy = make_toy()
    uri = toy.write("a.toy", "Toy")
    refused = (400, "LSP_SERVER_NOT_INITIALIZED")
    assert error(toy.symbols(uri)) == refused
    assert toy.stop().status_code == 200
    toy.start()
    assert toy.symbols(uri).status_code == 200
    toy.stop()
    assert error(toy.symbols(uri)) == refused
    assert error(toy.call("/lsp/did-open", uri=uri)) == refused
    assert error(toy.call("/lsp/did-close", uri=uri)) == refused
    assert error(toy.get("/lsp/workspacesymbols", query="x")) == refused


def test_death_within_a_request_is_told_and_the_next_one_works(make_toy: MakeToy) -> None:
    toy = make_toy("dies")
    toy.start()
    uri = toy.write("a.toy", "Toy")
    toy.call("/lsp/did-open", uri=uri)
    died = toy.complete(uri)
    assert error(died) == (500, "LSP_SERVER_FAILED")
    assert "exit status 7" in died.json()["message"]
    assert "a toy's last words" in died.json()["message"]
    # The documents are there again.
    assert [symbol["name"] for symbol in toy.symbols(uri).json()] == ["Toy", "inner"]
    assert len(toy.pids()) == 2
    opened = [entry for entry in toy.received() if entry.get("method") == "textDocument/didOpen"]
    assert [entry["params"]["textDocument"]["text"] for entry in opened] == ["Toy", "Toy"]


def test_killed_while_twenty_wait(make_toy: MakeToy) -> None:
    toy = make_toy("slow")
    toy.start()
    uri = toy.write("a.toy", "Toy")
    with ThreadPoolExecutor(20) as pool:
        waiting = [pool.submit(toy.complete, uri) for _ in range(20)]
        toy.service.wait_for(
            lambda: toy.methods().count("textDocument/completion") == 20, "the requests"
        )
        os.kill(toy.pids()[0], signal.SIGKILL)
        answers = [each.result() for each in waiting]
    assert {error(answer) for answer in answers} == {(500, "LSP_SERVER_FAILED")}
    assert "SIGKILL" in answers[0].json()["message"]
    assert toy.symbols(uri).status_code == 200


def test_what_a_dead_server_leaves_behind_is_ended(make_toy: MakeToy) -> None:
    toy = make_toy("parent")
    toy.start()
    leader, child = toy.pids()
    # The child holds the pipes, so only the leader's exit shows that it ended.
    os.kill(leader, signal.SIGKILL)
    toy.service.wait_for(lambda: child not in toy.alive(), "the child's end")
    assert toy.symbols(toy.write("a.toy", "Toy")).status_code == 200
    toy.stop()
    assert not toy.alive()


def test_one_that_always_ends_is_not_restarted_forever(make_toy: MakeToy) -> None:
    toy = make_toy("dies")
    toy.start()
    uri = toy.write("a.toy", "Toy")
    messages = [toy.complete(uri).json()["message"] for _ in range(8)]
    assert "not restarted before the next /lsp/start" in messages[-1]
    assert len(toy.pids()) == 5
    toy.start()
    assert toy.symbols(uri).status_code == 200


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        ("fails", "exit status 1): no licence for toys"),
        ("refuses", "can't be initialized: not today"),
        ("garbage", "was killed: its output is not LSP: 'lorem ipsum"),
        ("large", "was killed: it sent a message of 1000000000000 bytes"),
    ],
)
def test_one_that_can_not_start_tells_why(make_toy: MakeToy, mode: str, reason: str) -> None:
    toy = make_toy(mode)
    answer = toy.start()
    assert error(answer) == (500, "LSP_SERVER_FAILED")
    assert reason in answer.json()["message"]
    toy.service.wait_for(lambda: not toy.alive(), "its end")
    # It counts as not started.
    assert error(toy.symbols(toy.write("a.toy", ""))) == (400, "LSP_SERVER_NOT_INITIALIZED")


def test_one_that_hangs_at_initialize_is_ended_for_all_who_wait(make_toy: MakeToy) -> None:
    toy = make_toy("hangs", options="start_timeout = 1")
    with ThreadPoolExecutor(5) as pool:
        answers = list(pool.map(lambda _: toy.start(), range(5)))
    assert {error(answer) for answer in answers} == {(500, "LSP_SERVER_TIMEOUT")}
    assert "initialize within 1 s" in answers[0].json()["message"]
    toy.service.wait_for(lambda: not toy.alive(), "its end")


def test_can_be_stopped_while_it_hangs(make_toy: MakeToy) -> None:
    toy = make_toy("hangs")
    with ThreadPoolExecutor(1) as pool:
        starting = pool.submit(toy.start)
        toy.wait_for("initialize")
        assert toy.stop().status_code == 200
        assert starting.result().status_code == 500
    assert not toy.alive()


def test_can_be_stopped_when_its_project_is_gone(make_toy: MakeToy) -> None:
    toy = make_toy()
    toy.start()
    shutil.rmtree(toy.directory)
    assert error(toy.symbols("file://a.toy")) == (400, "LSP_PROJECT_INVALID")
    assert toy.stop().status_code == 200
    assert not toy.alive()


def test_a_request_without_answer_times_out_and_is_cancelled(make_toy: MakeToy) -> None:
    toy = make_toy("slow", options="request_timeout = 3")
    toy.start()
    uri = toy.write("a.toy", "Toy")
    answer = toy.complete(uri)
    assert error(answer) == (500, "LSP_SERVER_TIMEOUT")
    toy.wait_for("$/cancelRequest")
    assert toy.symbols(uri).status_code == 200


def test_a_frozen_machine_uses_up_no_timeout(make_toy: MakeToy) -> None:
    """``docker pause`` for longer than the timeout of a request that is waiting."""
    toy = make_toy("late", options="request_timeout = 10")
    toy.start()
    uri = toy.write("a.toy", "Toy")
    service = toy.service.process.pid
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(toy.complete, uri)
        toy.wait_for("textDocument/completion")
        everything = [service, *descendants(service)]
        try:
            for pid in everything:
                os.kill(pid, signal.SIGSTOP)
            time.sleep(12)  # The pause is the test.
            toy.write("go", "")
        finally:
            for pid in reversed(everything):
                os.kill(pid, signal.SIGCONT)
        assert waiting.result().status_code == 200


def test_one_that_does_not_read_blocks_nobody(make_toy: MakeToy) -> None:
    toy = make_toy("deaf", options="request_timeout = 1")
    toy.start()
    uri = toy.write("a.toy", "x" * 1_000_000)
    # More than a pipe takes: no write may wait for the server.
    assert toy.call("/lsp/did-open", uri=uri).status_code == 200
    assert error(toy.symbols(uri)) == (500, "LSP_SERVER_TIMEOUT")
    assert toy.stop().status_code == 200
    assert not toy.alive()


def test_a_flood_is_taken(make_toy: MakeToy) -> None:
    toy = make_toy("floods")
    toy.start()
    uri = toy.write("a.toy", "Toy")
    assert len(toy.symbols(uri).json()) == 2

    def answers() -> list[dict[str, Any]]:
        return [each for each in toy.received() if str(each.get("id", "")).startswith("flood")]

    toy.service.wait_for(lambda: len(answers()) == 200, "the answers")
    assert all(each["result"] is None for each in answers())


def test_greetings_before_the_first_message_are_skipped(make_toy: MakeToy) -> None:
    toy = make_toy("greets")
    assert toy.start().status_code == 200
    assert len(toy.symbols(toy.write("a.toy", "Toy")).json()) == 2


def test_what_the_server_asks_is_answered(make_toy: MakeToy) -> None:
    toy = make_toy("asks", more="settings = {toy = {depth = 3}}")
    toy.start()
    toy.service.wait_for(lambda: any(each.get("id") == "e" for each in toy.received()), "them")
    answers = {each["id"]: each for each in toy.received() if each.get("id") in [*"abcde"]}
    assert answers["a"]["result"] == [3]
    assert answers["b"]["result"] == [{"uri": toy.directory.as_uri(), "name": "project"}]
    assert answers["c"]["result"] is None
    assert answers["d"]["error"]["code"] == -32601
    assert answers["e"]["result"]["applied"] is False


def test_an_answer_out_of_protocol_is_the_servers_failure(make_toy: MakeToy) -> None:
    toy = make_toy("strange")
    toy.start()
    position = {"line": 0, "character": 0}
    answer = toy.call("/x/lsp/hover", uri=toy.write("a.toy", "Toy"), position=position)
    assert error(answer) == (500, "LSP_SERVER_FAILED")
    assert "returned an invalid result" in answer.json()["message"]


def test_the_end_of_the_service_ends_one_that_ignores_shutdown(make_toy: MakeToy) -> None:
    toy = make_toy("stays", "parent")
    toy.start()
    assert len(toy.alive()) == 2
    toy.service.stop()
    assert not toy.alive()


def test_an_idle_one_rests_until_it_is_used(make_toy: MakeToy) -> None:
    toy = make_toy(options="idle_timeout = 0.2")
    toy.start()
    uri = toy.write("a.toy", "Toy")
    toy.call("/lsp/did-open", uri=uri)
    toy.service.wait_for(lambda: not toy.alive(), "its rest")
    assert toy.methods()[-2:] == ["shutdown", "exit"]
    assert len(toy.symbols(uri).json()) == 2
    assert toy.methods().count("textDocument/didOpen") == 2


def test_the_longest_idle_one_makes_room(make_toy: MakeToy) -> None:
    toy = make_toy(options="max_running = 2")
    uris = {}
    for name in ("one", "two", "three"):
        toy.path = name
        toy.directory = toy.service.work_dir / name
        assert toy.start().status_code == 200
        uris[name] = toy.write("a.toy", name)
    _, second, third = toy.pids()
    assert toy.alive() == [second, third]
    toy.path = "one"
    assert toy.symbols(uris["one"]).status_code == 200
    assert toy.alive() == [third, toy.pids()[3]]


def test_only_so_many_wait(make_toy: MakeToy) -> None:
    toy = make_toy("slow", options="max_waiting = 2\nrequest_timeout = 600")
    toy.start()
    uri = toy.write("a.toy", "Toy")
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(toy.complete, uri) for _ in range(2)]
        toy.service.wait_for(
            lambda: toy.methods().count("textDocument/completion") == 2, "the requests"
        )
        refused = toy.symbols(uri)
        assert error(refused) == (503, "LSP_TOO_MANY_WAITING")
        assert refused.headers["Retry-After"] == "1"
        toy.stop()
        assert {error(each.result()) for each in waiting} == {(500, "LSP_SERVER_FAILED")}


def test_starting_and_stopping_leaves_nothing_open(make_toy: MakeToy) -> None:
    toy = make_toy()
    worker = toy.service.workers()[0]

    def counts() -> tuple[int, int]:
        fds = len(os.listdir(f"/proc/{worker}/fd"))
        threads = [
            name
            for task in os.listdir(f"/proc/{worker}/task")
            if (name := _comm(worker, task)).startswith("lsp-")
        ]
        return fds, len(threads)

    for _ in range(3):
        toy.start()
        toy.stop()
    before = counts()
    for _ in range(10):
        toy.start()
        toy.stop()
    deadline = time.monotonic() + 60
    while counts()[0] > before[0] + 1 or counts()[1]:
        assert time.monotonic() < deadline, (before, counts())
    assert not toy.alive()


def _comm(pid: int, task: str) -> str:
    try:
        with open(f"/proc/{pid}/task/{task}/comm") as file:
            return file.read()
    except OSError:
        return ""
