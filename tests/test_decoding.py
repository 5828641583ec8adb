"""JSON from outside."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from toolbox.http.decoding import decode
from toolbox.http.decoding import decode_frame
from toolbox.testing import Service


class Inner(msgspec.Struct, rename="camel"):
    """A struct in a struct."""

    new_value: int = 0


class Ours(msgspec.Struct, rename="camel", tag="ours", tag_field="kind"):
    """One of two."""

    a_field: int


class Theirs(msgspec.Struct, rename="camel", tag="theirs", tag_field="kind"):
    """The other."""

    a_field: str


class Outer(msgspec.Struct, rename="camel"):
    """Structs in every place they can have."""

    session_id: str = ""
    many: list[Inner] = []
    named: dict[str, Inner] = {}
    maybe: Inner | None = None
    either: list[Ours | Theirs] = []
    envs: dict[str, str | None] | None = None


@pytest.mark.parametrize(
    ("text", "right"),
    [
        (r"a\ud83d", "a�"),
        (r"\ud83dx and more of it", "�x and more of it"),
        (r"\uDE00\uD83D", "��"),
        (r"\ud83d\ud83d\ude00", "�😀"),
        (r"\ud83d\n", "�\n"),
        (r"\\ud83d", r"\ud83d"),
        (r"\\\ud83d", "\\�"),
        (r"\ud83d\u0041", "�A"),
        (r"\udcff", "�"),
    ],
)
def test_half_a_surrogate_pair_is_the_replacement_character(text: str, right: str) -> None:
    # F-C8
    data = f'{{"sessionId": "{text}", "envs": {{"{text}": "{text}"}}}}'.encode()
    decoded = decode(data, Outer)
    assert (decoded.session_id, decoded.envs) == (right, {right: right})
    assert decode_frame(data, dict[str, Any])["sessionId"] == right


def test_keys_match_whatever_their_case() -> None:
    # F-C17
    data = {
        "SESSIONID": "s",
        "Many": [{"NewValue": 1}, {"newvalue": 2}],
        "named": {"NewValue": {"NEWVALUE": 3}},
        "Maybe": {"NewValue": 4},
        "either": [{"Kind": "theirs", "AField": "5"}, {"kind": "ours", "afield": 6}],
        "Envs": {"Path": "a", "PATH": None},
        "Unknown": 1,
        "unknown": 2,
    }
    assert decode(json.dumps(data).encode(), Outer) == Outer(
        session_id="s",
        many=[Inner(1), Inner(2)],
        named={"NewValue": Inner(3)},
        maybe=Inner(4),
        either=[Theirs("5"), Ours(6)],
        envs={"Path": "a", "PATH": None},
    )


@pytest.mark.parametrize(
    "data",
    [
        '{"sessionId": "a", "sessionId": "b"}',
        '{"sessionId": "a", "sessionid": "b"}',
        '{"many": [{}, {"newValue": 1, "NewValue": 2}]}',
        '{"unknown": {"a": 1, "a": 1}}',
        r'{"sessionId": "a", "session\u0049d": "b"}',
        '{"envs": {"A": "a:b", "A": null}}',
    ],
)
def test_a_key_is_there_once(data: str) -> None:
    # F-B8
    with pytest.raises(msgspec.DecodeError, match="duplicate key"):
        decode(data.encode(), Outer)


@pytest.mark.parametrize(
    "data", [b"", b"[", b"nonsense", b'{"sessionId": "\xed\xa0\xbd"}', b"[" * 10**5]
)
def test_what_is_no_json_is_a_decode_error(data: bytes) -> None:
    for decoder in (decode, decode_frame):
        with pytest.raises(msgspec.DecodeError):
            decoder(data, Outer)


@pytest.mark.parametrize("number", ["1e30", "1.0", "9223372036854775808", "1" * 400])
def test_an_integer_has_64_bits(number: str) -> None:
    # F-C17
    for data in (f'{{"many": [{{"newValue": {number}}}]}}', f'{{"many": {number}}}'):
        with pytest.raises(msgspec.ValidationError):
            decode(data.encode(), Outer)


def test_an_operation_takes_half_an_emoji(service: Service) -> None:
    # F-C8
    body = rb'{"Command": "printf %s \"a\ud83d\" | od -An -tx1"}'
    answer = service.http.post("/process/execute", content=body)
    assert answer.json()["result"].split() == ["61", "ef", "bf", "bd"]


def test_a_repeated_parameter_is_refused(service: Service) -> None:
    # F-B8
    for query in ("path=/etc&path=/tmp", "path=/etc&Path=/tmp", "path=/etc&%70ath=/etc"):
        answer = service.http.get(f"/files/info?{query}")
        assert (answer.status_code, answer.json()["code"]) == (400, "BAD_REQUEST")
    body = b'{"command": "true", "command": "echo no"}'
    answer = service.http.post("/process/execute", content=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_REQUEST_BODY")


@pytest.mark.parametrize("number", ["1e30", "1" + "0" * 30])
def test_nothing_is_moved_out_of_the_world(service: Service, number: str) -> None:
    # F-C17
    body = f'{{"x": {number}, "y": 1}}'.encode()
    answer = service.http.post("/computeruse/mouse/move", content=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_REQUEST_BODY")
