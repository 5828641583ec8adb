from __future__ import annotations

from typing import Annotated

import msgspec
import pytest
from msgspec import Meta
from werkzeug.datastructures import MultiDict

from toolbox.errors import BadRequest
from toolbox.request import decode_query

ONE_OR_MORE = MultiDict([("one", "1"), ("one", "2"), ("many", "3"), ("many", "4"), ("other", "5")])


class Query(msgspec.Struct):
    """Lists in every way they are written, and a number whose description speaks of a list."""

    one: Annotated[int, Meta(description="How many are listed.")] = 0
    many: list[int] = []
    other: list[int] | None = None


class AnnotatedQuery(msgspec.Struct):
    """A list with a description."""

    many: Annotated[list[int], Meta(description="Some.")] = []


def test_a_list_gets_all_values_and_anything_else_the_last() -> None:
    assert decode_query(ONE_OR_MORE, Query) == Query(2, [3, 4], [5])
    assert decode_query(ONE_OR_MORE, AnnotatedQuery) == AnnotatedQuery([3, 4])


def test_a_value_of_the_wrong_type_is_a_bad_request() -> None:
    with pytest.raises(BadRequest, match=r"query parameter: .*one"):
        decode_query(MultiDict([("one", "x")]), Query)
