"""Secrets are in no log and in no error (AC-93)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from toolbox.logs.masking import Mask
from toolbox.logs.masking import StreamMask
from toolbox.testing import TOKEN
from toolbox.testing import Service


def test_what_is_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    mask = Mask(["KEY", "ABSENT", "SHORT", "LONGER"], lambda: ["a-token", ""])
    monkeypatch.setenv("KEY", 'quo"ted\\key')
    monkeypatch.setenv("SHORT", "a")
    monkeypatch.setenv("LONGER", "a-token-and-more")
    assert mask("a-token") == "***"
    assert mask("see a-token-and-more, a-token") == "see ***, ***"
    assert mask('is quo"ted\\key') == "is ***"
    assert mask(r'{"x": "quo\"ted\\key"}') == '{"x": "***"}', "as JSON writes it"
    assert mask(repr(["quo\"ted\\key'"])) == """['***\\'']""", "as Python writes it"
    monkeypatch.setenv("KEY", "a b/c\udcff")
    assert mask("x=a%20b%2Fc%FF&y=a+b%2Fc%FF") == "x=***&y=***", "as URLs have it"  # F-E14
    monkeypatch.setenv("KEY", 'quo"ted\\key')
    assert mask("banana") == "banana", "what is too short would be found everywhere"
    monkeypatch.setenv("KEY", "another")
    assert mask("another") == "***", "it is looked up anew"


@pytest.mark.parametrize("form", ["text", "json"])
def test_secrets_are_not_written(toy_service: Callable[..., Service], form: str) -> None:
    # AC-93
    log = f'format = "{form}"\naccess = true\naudit = "-"\nmask = ["A_SECRET"]'
    service = toy_service(
        "faulty",
        settings=f"[log]\n{log}\n",
        env={"A_SECRET": "swordfish", "TOOLBOX_SIGNING_KEY": "a-signing-key"},
    )
    assert service.http.get("/faulty/bug").status_code == 500
    for secret in (TOKEN, "a-signing-key", "swordfish"):
        assert service.http.get(f"/no/{secret}").status_code == 404
    refused = service.http.get("/faulty/refused/swordfish").json()
    assert refused["message"] == "*** is refused"
    service.stop()
    written = service.log()
    assert "the secret is ***" in written, "in a traceback"
    assert written.count("/no/***") >= 3, "in a path"
    for secret in (TOKEN, "a-signing-key", "swordfish"):
        assert secret not in written


SECRETS = [b"abcab", b"abcabX", b"secret", b"\xff\x00\xff"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (b"abcab", b"***"),
        (b"abcabX", b"***"),
        (b"abcabY", b"***Y"),
        (b"abcabcab", b"***cab"),
        (b"ababcab", b"ab***"),
        (b"xsecretsecrets", b"x******s"),
        (b"secre secret", b"secre ***"),
        (b"\xff\x00\xff\x00\xff", b"***\x00\xff"),
        (b"", b""),
    ],
)
def test_what_comes_in_pieces_is_hidden(text: bytes, shown: bytes) -> None:
    # F-E14
    for size in range(1, len(text) + 2):
        mask = StreamMask(SECRETS)
        pieces = [mask.feed(text[at : at + size]) for at in range(0, len(text), size)]
        assert b"".join([*pieces, mask.end()]) == shown, size
    assert StreamMask([]).feed(text) == text


def test_errors_wherever_they_are_told_have_no_secrets(service: Service) -> None:
    # F-E14: in results, parts, control messages and reasons, beside the envelope.
    path = f"/nope/{TOKEN}"
    http = service.http
    answers = [
        http.post("/process/execute", json={"command": "true", "cwd": path}),
        http.post("/process/code-run", json={"code": "1", "language": "python", "cwd": path}),
        http.post("/process/pty", json={"id": "a", "cwd": path}),
        http.get(f"/process/session/{TOKEN}"),
        http.get(f"/no/{TOKEN}"),
        http.get("/files/info", params={"path": path}),
        http.post(
            "/files/bulk-upload",
            files={"files[0].path": (None, f"/proc/{TOKEN}/x"), "files[0].file": ("x", b"a")},
        ),
    ]
    for answer in answers:
        assert TOKEN not in answer.text, answer.text
    assert "***" in answers[0].json()["result"]
    parts = http.post("/files/bulk-download", json={"paths": [path]}).text.partition("\r\n\r\n")[2]
    assert "***" in parts
    assert TOKEN not in parts
    replaced = http.post("/files/replace", json={"files": [path], "pattern": "a", "newValue": "b"})
    assert TOKEN not in replaced.json()[0]["error"]
    ws = service.websocket(f"/process/pty/{TOKEN}/connect", header=["X-Daytona-Source: sdk-python"])
    for _ in range(2):
        assert TOKEN.encode() not in ws.recv_data(control_frame=True)[1]
    ws.close()


def test_output_is_masked_if_that_is_asked_for(make_service: Callable[..., Service]) -> None:
    # F-E14, AC-93
    settings = '[log]\nmask = ["A_SECRET"]\nmask_output = true\n'
    service = make_service(settings=settings, env={"A_SECRET": "swordfish"})

    def run(command: str) -> str:
        answer = service.http.post("/process/execute", json={"command": command})
        return str(answer.json()["result"])

    assert run("printf 'a %s b' $A_SECRET") == "a *** b"
    assert run("printf sword; printf fish; printf sword") == "***sword"
    assert run("env | grep -c swordfish") == "1\n", "it is there, only not shown"
    service.http.post("/process/session", json={"sessionId": "s"})
    body = {"command": "echo $A_SECRET; echo $A_SECRET >&2"}
    headers = {"X-Daytona-SDK-Version": "0.226.1"}
    answer = service.http.post("/process/session/s/exec", json=body, headers=headers).json()
    assert (answer["stdout"], answer["stderr"]) == ("***\n", "***\n")
    # A possible beginning of a secret is shown while the program goes on.
    ws = service.websocket("/process/pty/create-connect?id=p")
    ws.send_binary(b"stty -echo; PS1=; printf 'be''gin swo'\n")
    seen = b""
    while b"begin swo" not in seen:
        seen += ws.recv_data()[1]
    ws.send_binary(b"echo; echo $A_SECRET en''d\n")
    while b"end" not in seen:
        seen += ws.recv_data()[1]
    ws.close()
    assert b"*** end" in seen
    assert b"swordfish" not in seen


def test_output_is_whole_otherwise(service: Service) -> None:
    answer = service.http.post("/process/execute", json={"command": f"echo {TOKEN}"})
    assert answer.json()["result"] == f"{TOKEN}\n"
