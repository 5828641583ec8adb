from __future__ import annotations

from typing import Annotated
from typing import Literal

import msgspec
import pytest
from msgspec import Meta
from werkzeug.datastructures import MultiDict

from toolbox.errors import BadRequest
from toolbox.request import decode_query

ONE_OR_MORE = MultiDict([("one", "2"), ("many", "3"), ("many", "4"), ("other", "5")])


class Query(msgspec.Struct):
    """Lists in every way they are written, and a number whose description speaks of a list."""

    one: Annotated[int, Meta(description="How many are listed.")] = 0
    many: list[int] = []
    other: list[int] | None = None


class AnnotatedQuery(msgspec.Struct):
    """A list with a description."""

    many: Annotated[list[int], Meta(description="Some.")] = []


class Defaults(msgspec.Struct):
    """What an empty value may mean."""

    mode: str = "0755"
    text: str = ""
    maybe: str | None = None
    number: int = 7
    flag: bool = False
    other: bool | None = None
    word: Literal["a", "b"] = "a"


def test_a_list_gets_all_values() -> None:
    assert decode_query(ONE_OR_MORE, Query) == Query(2, [3, 4], [5])
    assert decode_query(ONE_OR_MORE, AnnotatedQuery) == AnnotatedQuery([3, 4])


def test_a_value_of_the_wrong_type_is_a_bad_request() -> None:
    with pytest.raises(BadRequest, match=r"query parameter: .*one"):
        decode_query(MultiDict([("one", "x")]), Query)


@pytest.mark.parametrize("second", ["one", "One", "ONE"])
def test_what_may_be_there_once_is_not_there_twice(second: str) -> None:
    # F-B8
    with pytest.raises(BadRequest, match="one appears 2 times"):
        decode_query(MultiDict([("one", "1"), (second, "1")]), Query)


def test_names_match_whatever_their_case() -> None:
    # F-E18
    asked = MultiDict([("ONE", "1"), ("Many", "2"), ("many", "3"), ("unknown", "4")])
    assert decode_query(asked, Query) == Query(1, [2, 3])


def test_an_empty_value_that_means_nothing_is_none() -> None:
    # F-C17
    asked = MultiDict([(name, "") for name in ("mode", "text", "maybe", "number")])
    assert decode_query(asked, Defaults) == Defaults(maybe="")
    for flag in ("flag", "other", "word"):
        with pytest.raises(BadRequest, match=flag):
            decode_query(MultiDict([(flag, "")]), Defaults)


class Numbers(msgspec.Struct):
    """Every way to write a number's type."""

    whole: int = 0
    maybe: Annotated[int, Meta(ge=-5)] | None = None
    part: Annotated[float, Meta(le=10)] = 0.0
    some: list[int] = []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(("whole", text) for text in ("1e3", "1e30", "1.0", "+1", "1" * 30, "1" * 5000, "null")),
        *(("maybe", text) for text in ("1e3", "1.0", "9223372036854775808", "-6")),
        *(("part", text) for text in ("nan", "inf", "-Infinity", "11", "1e400")),
        ("some", "1e3"),
    ],
)
def test_a_number_is_one_of_the_api(name: str, text: str) -> None:
    # F-C17
    with pytest.raises(BadRequest, match=name):
        decode_query(MultiDict([(name, text)]), Numbers)
    asked = MultiDict([("whole", "-9223372036854775808"), ("maybe", "5"), ("part", "1e0")])
    assert decode_query(asked, Numbers) == Numbers(-(2**63), 5, 1.0)
