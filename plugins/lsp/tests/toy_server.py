"""A language server that misbehaves: ``toy_server.py JOURNAL MODE...``.

It writes what it receives to JOURNAL, a line of JSON each, after a line with its pid. Without a
mode it behaves: it knows the symbol ``Toy`` of any document.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import Any

modes = set(sys.argv[2:])
output = sys.stdout.buffer


def note(entry: dict[str, Any]) -> None:
    with open(sys.argv[1], "a") as journal:
        journal.write(json.dumps(entry) + "\n")


def send(**message: Any) -> None:
    body = json.dumps({"jsonrpc": "2.0", **message}).encode()
    output.write(b"Content-Type: any\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
    output.flush()


def receive() -> dict[str, Any]:
    length = 0
    while line := sys.stdin.buffer.readline().strip():
        name, _, value = line.partition(b":")
        if name == b"Content-Length":
            length = int(value)
    if not length:
        sys.exit(3)
    message: dict[str, Any] = json.loads(sys.stdin.buffer.read(length))
    note(message)
    return message


def symbol() -> dict[str, Any]:
    place = {"start": {"line": 0, "character": 0}, "end": {"line": 0, "character": 3}}
    child = {"name": "inner", "kind": 6, "range": place, "selectionRange": place}
    return {"name": "Toy", "kind": 5, "range": place, "selectionRange": place, "children": [child]}


def diagnostics(uri: str, count: int) -> None:
    place = {"start": {"line": 0, "character": 0}, "end": {"line": 0, "character": 1}}
    items = [{"range": place, "message": "toy trouble", "code": 7}] * count
    send(method="textDocument/publishDiagnostics", params={"uri": uri, "diagnostics": items})


def flood() -> None:
    for number in range(20_000):
        send(method="window/logMessage", params={"type": 3, "message": "x" * 100})
        diagnostics(f"file:///nowhere/{number}", 1)
        if number % 100 == 0:
            send(id=f"flood-{number}", method="window/workDoneProgress/create", params={})


def ask() -> None:
    send(id="a", method="workspace/configuration", params={"items": [{"section": "toy.depth"}]})
    send(id="b", method="workspace/workspaceFolders", params=None)
    send(id="c", method="client/registerCapability", params={"registrations": []})
    send(id="d", method="toy/unheardOf", params={})
    send(id="e", method="workspace/applyEdit", params={"edit": {}})


def watch() -> None:
    """Register watchers: its files but not their deletion, and one kind of file elsewhere."""
    elsewhere = {"baseUri": "file://" + os.path.realpath("../elsewhere"), "pattern": "*.{cfg,ini}"}
    watchers = [{"globPattern": "**/*.toy", "kind": 3}, {"globPattern": elsewhere}]
    options = {"watchers": watchers}
    registration = {"id": "w", "method": "workspace/didChangeWatchedFiles"}
    params = {"registrations": [{**registration, "registerOptions": options}]}
    send(id="watch", method="client/registerCapability", params=params)


def answer(method: str) -> dict[str, Any]:
    if method == "initialize":
        if "refuses" in modes:
            return {"error": {"code": -32603, "message": "not today"}}
        provided: dict[str, Any] = {"documentSymbolProvider": {}, "hoverProvider": {}}
        return {"result": {"capabilities": provided}}
    if method == "textDocument/documentSymbol":
        return {"result": [symbol()]}
    if method == "textDocument/hover" and "strange" in modes:
        return {"result": {"contents": 12}}
    if method == "textDocument/completion":
        return {"result": None}
    if method == "textDocument/hover":
        return {"result": {"contents": ["a *toy*", {"language": "toy", "value": "Toy()"}]}}
    if method == "shutdown":
        return {"result": None}
    return {"error": {"code": -32601, "message": f"no {method} here"}}


def serve() -> None:
    while True:
        message = receive()
        method = message.get("method", "")
        if method == "exit":
            sys.exit(0)
        if method == "initialize" and "hangs" in modes:
            continue
        if method == "shutdown" and "stays" in modes:
            time.sleep(600)
        if method == "textDocument/completion" and "dies" in modes:
            print("a toy's last words", file=sys.stderr, flush=True)
            os._exit(7)
        if method == "textDocument/completion" and "slow" in modes:
            continue
        while method == "textDocument/completion" and "late" in modes and not os.path.exists("go"):
            time.sleep(0.01)
        if method and "id" in message:
            send(id=message["id"], **answer(method))
        if method == "initialized":
            if "floods" in modes:
                flood()
            if "watches" in modes:
                watch()
            if "asks" in modes:
                ask()
            if "deaf" in modes:
                time.sleep(600)
        if method == "textDocument/didOpen" and "publishes" in modes:
            diagnostics(message["params"]["textDocument"]["uri"], 2)


note({"pid": os.getpid()})
if "fails" in modes:
    sys.exit("no licence for toys")
if "garbage" in modes:
    while True:
        output.write(b"lorem ipsum \xff\x00 dolor\n" * 100)
if "large" in modes:
    output.write(b"Content-Length: 1000000000000\r\n\r\n{")
    output.flush()
    time.sleep(600)
if "greets" in modes:
    output.write(b"Welcome to the toy server!\nno message: ")
if "parent" in modes:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    note({"pid": child.pid})
serve()
