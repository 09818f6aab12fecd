"""The JSON door: what comes in, what does not, and edits that leave every other byte alone."""

import contextlib
import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conversations.errors import MalformedBodyError, UnsupportedMediaTypeError
from conversations.wire.json_door import (
    MAX_ANSWER_DEPTH,
    MAX_REQUEST_DEPTH,
    check_media_type,
    encode,
    parse_answer,
    parse_object,
    showable,
    split_array,
)

REFUSED = {
    "empty": b"",
    "only space": b" \r\n\t",
    "invalid UTF-8": b'{"a":"\xff"}',
    "overlong UTF-8": b'{"a":"\xc0\x80"}',
    "encoded surrogate": b'{"a":"\xed\xa0\x80"}',
    "byte order mark": b'\xef\xbb\xbf{"a":1}',
    "UTF-16": '{"a":1}'.encode("utf-16"),
    "NaN": b'{"a":NaN}',
    "Infinity": b'{"a":Infinity}',
    "-Infinity": b'{"a":[-Infinity]}',
    "beyond a double": b'{"a":1e400}',
    "beyond a double, negative": b'{"a":-1e400}',
    "beyond a double, in a duplicate": b'{"a":1e400,"a":1}',
    "unreadable integer": b'{"a":' + b"1" * 5000 + b"}",
    "lone high surrogate": b'{"a":"\\ud83d"}',
    "lone high surrogate, upper case": b'{"a":"\\UD83D \\uD83D"}',
    "lone low surrogate": b'{"a":"\\ude00"}',
    "reversed pair": b'{"a":"\\ude00\\ud83d"}',
    "high, then a pair": b'{"a":"\\ud83d\\ud83d\\ude00"}',
    "lone surrogate in a key": b'{"\\ud83d":1}',
    "lone surrogate in a duplicate": b'{"a":"\\ud83d","a":1}',
    "lone surrogate after a backslash": b'{"a":"\\\\\\ud83d"}',
    "root array": b'[{"a":1}]',
    "root string": b'"a"',
    "root null": b"null",
    "trailing comma": b'{"a":1,}',
    "trailing text": b'{"a":1} x',
    "two objects": b"{}{}",
    "single quotes": b"{'a':1}",
    "raw control character": b'{"a":"\n"}',
    "raw NUL": b'{"a":"\0"}',
    "unterminated": b'{"a":"',
    "unterminated after a backslash": b'{"a":"\\',
    "plus sign": b'{"a":+1}',
    "leading zero": b'{"a":01}',
    "no-break space": b'{"a":\xc2\xa01}',
    "too deep": b'{"a":' + b"[" * MAX_REQUEST_DEPTH + b"]" * MAX_REQUEST_DEPTH + b"}",
    "hostile depth": b'{"a":' + b"[" * 200_000,
    "hostile depth of objects": b'{"a":' * 200_000,
}

KEPT = {
    "NUL escape": b'{"a":"\\u0000"}',
    "NUL escape in a key": b'{"\\u0000":1}',
    "non-characters": '{"a":"\uffff\ufdd0"}'.encode(),
    "surrogate pair": b'{"a":"\\ud83d\\ude00"}',
    "emoji": '{"a":"😀"}'.encode(),
    "an escaped backslash before ud83d": b'{"a":"\\\\ud83d"}',
    "duplicate keys": b'{"a":1,"a":2}',
    "big integer": b'{"a":18446744073709551617}',
    "400 digits": b'{"a":' + b"7" * 400 + b"}",
    "spelling of numbers": b'{"a":[1.0,1e22,1E2,-0.0,1.50]}',
    "white space": b' \r\n{ "a" :\t1 }\n',
    "escapes": b'{"a":"\\/\\u00e9"}',
    "empty object": b"{}",
    "brackets in strings": b'{"a":"' + b"[{" * 1000 + b'"}',
    "deepest allowed": b'{"a":' + b"[" * (MAX_REQUEST_DEPTH - 1) + b"]" * (MAX_REQUEST_DEPTH - 1) + b"}",
    "separators": '{"a":"\u2028\u0085"}'.encode(),
}


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED)
def test_a_body_that_cannot_be_kept_is_refused_with_a_sentence(body: bytes) -> None:
    with pytest.raises(MalformedBodyError) as refusal:
        parse_object(body)
    assert refusal.value.status == 400
    assert refusal.value.message.startswith("The request body ")


@pytest.mark.parametrize("body", KEPT.values(), ids=KEPT)
def test_a_body_that_can_be_kept_comes_in_with_its_own_bytes(body: bytes) -> None:
    parsed = parse_object(body)
    assert bytes(parsed) == body
    assert parsed.members == json.loads(body)


def test_the_position_of_a_mistake_is_told() -> None:
    with pytest.raises(MalformedBodyError, match="line 2, column 2"):
        parse_object(b'{"a":1,\n x}')


def test_the_last_duplicate_counts_and_its_bytes_are_given() -> None:
    parsed = parse_object(b'{"a":1.0,"b":2,"a": [1e22, "\\u0000"] }')
    assert parsed.members["a"] == [1e22, "\0"]
    assert parsed.raw("a") == b'[1e22, "\\u0000"]'
    assert parsed.raw("missing") is None


def test_raw_slices_are_cut_at_bytes_not_characters() -> None:
    parsed = parse_object('{"한":"😀","b":"é", "c" : 1.50}'.encode())
    assert parsed.raw("한") == '"😀"'.encode()
    assert parsed.raw("c") == b"1.50"


EDITS = [
    (b'{"a":1,"b":2,"c":3}', {"a"}, b'{"b":2,"c":3}'),
    (b'{"a":1,"b":2,"c":3}', {"b"}, b'{"a":1,"c":3}'),
    (b'{"a":1,"b":2,"c":3}', {"c"}, b'{"a":1,"b":2}'),
    (b'{"a":1,"b":2,"c":3}', {"a", "b", "c"}, b"{}"),
    (b'{ "a" : 1 , "b" : 2 }', {"a"}, b'{ "b" : 2 }'),
    (b'{ "a" : 1 , "b" : 2 }\n', {"b"}, b'{ "a" : 1 }\n'),
    (b'{"a":1,"b":2,"a":3}', {"a"}, b'{"b":2}'),
    (b'{"a":{"store":1},"store":true}', {"store"}, b'{"a":{"store":1}}'),
    (b'{"st\\u006fre":true,"a":1}', {"store"}, b'{"a":1}'),
    (b'{ "a":1 }', {"x"}, b'{ "a":1 }'),
    (b"{ }", {"x"}, b"{ }"),
]


@pytest.mark.parametrize(("body", "keys", "rest"), EDITS)
def test_dropped_members_leave_the_other_bytes_alone(body: bytes, keys: set[str], rest: bytes) -> None:
    assert parse_object(body).without(keys) == rest


SPLICES = [
    (b"{}", {"x": b"1.0"}, b'{"x":1.0}'),
    (b"{ }", {"x": b"1", "y": b"2"}, b'{"x":1,"y":2 }'),
    (b'{"a":1}', {"x": b"1e22"}, b'{"a":1,"x":1e22}'),
    (b'{ "a": 1 }\n', {"x": b"null"}, b'{ "a": 1,"x":null }\n'),
    (b'{ "a" : 1 , "b" : 2 }', {"a": b"0.50"}, b'{ "a" : 0.50 , "b" : 2 }'),
    (b'{"a":1,"b":2,"a":3}', {"a": b"4"}, b'{"a":1,"b":2,"a":4}'),
    (b'{"a":1}', {}, b'{"a":1}'),
]


@pytest.mark.parametrize(("body", "extra", "result"), SPLICES)
def test_spliced_members_leave_the_other_bytes_alone(body: bytes, extra: dict[str, bytes], result: bytes) -> None:
    assert parse_object(body).with_members(extra) == result


def test_dropping_and_putting_work_in_one_edit() -> None:
    parsed = parse_object(b'{"store":true,"a":1,"deferred":false}')
    assert parsed.edited(drop={"store", "deferred"}, put={"b": b"2"}) == b'{"a":1,"b":2}'
    assert parsed.edited(drop={"store"}, put={"store": b"1"}) == b'{"a":1,"deferred":false,"store":1}'


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
SPACES = st.text(" \t\r\n", max_size=2)


@st.composite
def members_and_body(draw: st.DrawFn) -> tuple[list[tuple[str, str]], bytes]:
    """Root members with their raw values, duplicates included, and a body that spaces them out."""
    members = [
        (
            draw(TEXT),
            json.dumps(draw(VALUES), ensure_ascii=draw(st.booleans()), indent=draw(st.sampled_from([None, 1]))),
        )
        for _ in range(draw(st.integers(0, 5)))
    ]
    written = [
        draw(SPACES) + json.dumps(key, ensure_ascii=draw(st.booleans())) + draw(SPACES) + ":" + draw(SPACES) + raw
        for key, raw in members
    ]
    return members, (draw(SPACES) + "{" + ",".join(part + draw(SPACES) for part in written) + "}").encode()


@given(members_and_body(), st.data())
def test_any_edit_of_any_object_keeps_the_raw_values_of_the_rest(
    drawn: tuple[list[tuple[str, str]], bytes], choices: st.DataObject
) -> None:
    members, body = drawn
    last = dict(members)
    dropped = choices.draw(st.sets(st.sampled_from(sorted(last)))) if last else set()
    extra = choices.draw(st.dictionaries(TEXT, VALUES.map(lambda value: encode(value)), max_size=3))
    edited = parse_object(parse_object(body).edited(drop=dropped, put=extra))
    expected = {key: raw.encode() for key, raw in last.items() if key not in dropped} | extra
    assert {key: edited.raw(key) for key in edited.members} == expected


@given(st.recursive(VALUES, lambda inner: st.dictionaries(TEXT, inner, max_size=3), max_leaves=10))
def test_whatever_a_client_library_writes_comes_in(value: Any) -> None:
    for body in (json.dumps({"a": value}).encode(), json.dumps({"a": value}, ensure_ascii=False, indent=2).encode()):
        assert parse_object(body).raw("a") == body[body.index(b":") + 1 : -1].strip()


@settings(max_examples=300)
@given(st.binary(max_size=40) | st.text('{}[]":,\\ud8eE+-.01aN \n', max_size=40).map(str.encode))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    try:
        parsed = parse_object(body)
    except MalformedBodyError:
        return
    assert parsed.members == json.loads(body)
    assert encode(parsed.members).decode()


HOSTILE = {
    "one long string": b'{"a":"' + b"x" * (32 * 2**20) + b'"}',
    "escaped quotes without an end": b'{"a":"' + b'\\"' * (8 * 2**20) + b"\\",
    "unterminated brackets": b"[" * (32 * 2**20),
    "backslashes": b'{"a":"' + b"\\\\" * (8 * 2**20) + b'"}',
    "surrogate pairs": b'{"a":"' + b"\\ud83d\\ude00" * 2**20 + b'"}',
    "many root keys": b"{" + b",".join(b'"k%d":[%d]' % (i, i) for i in range(200_000)) + b"}",
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
def test_large_bodies_take_linear_time(body: bytes) -> None:
    started = time.process_time()
    with contextlib.suppress(MalformedBodyError):
        parse_object(body).without({"k1", "a"})
    assert time.process_time() - started < 5


LENIENT = {
    "lone surrogate": (b'{"a":"\\ud83d"}', "\ud83d"),
    "invalid UTF-8": (b'{"a":"x\xffy"}', "x\udcffy"),
    "infinity": (b'{"a":Infinity}', float("inf")),
    "overflow": (b'{"a":1e400}', float("inf")),
    "control characters": (b'{"a":"x\ny"}', "x\ny"),
    "huge integer": (b'{"a":' + b"9" * 5000 + b"}", float("inf")),
    "byte order mark": (b'\xef\xbb\xbf{"a":1}', 1),
}


@pytest.mark.parametrize(("body", "value"), LENIENT.values(), ids=LENIENT)
def test_an_answer_is_kept_though_a_request_like_it_is_refused(body: bytes, value: object) -> None:
    answer = parse_answer(body)
    assert answer.members == {"a": value}
    assert answer.with_members({"b": b"1"}) == body.removeprefix(b"\xef\xbb\xbf")[:-1] + b',"b":1}'


def test_an_answer_nested_as_deeply_as_is_read_can_be_edited_and_written() -> None:
    inner = b"[" * (MAX_ANSWER_DEPTH - 1) + b"]" * (MAX_ANSWER_DEPTH - 1)
    answer = parse_answer(b'{"a":' + inner + b',"b":1}')
    assert answer.without({"b"}) == b'{"a":' + inner + b"}"
    assert encode(answer.members["a"]) == inner


@pytest.mark.parametrize("body", [b"", b"<html>", b"[1]", b'{"a":', b"{}{}", b'{"a":' + b"[" * 200_000])
def test_an_answer_that_is_no_object_in_any_reading_is_a_value_error(body: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_answer(body)


def test_an_array_is_split_into_its_own_bytes() -> None:
    assert split_array('[ 1.0 , {"a": "]"},"한",[] ]'.encode()) == [b"1.0", b'{"a": "]"}', '"한"'.encode(), b"[]"]
    assert split_array(b"[ ]") == []


def test_halves_of_a_pair_that_were_joined_are_written_as_one_character() -> None:
    assert json.loads(encode("\ud83d" + "\ude00")) == "😀"
    assert encode("한") == '"한"'.encode()


@pytest.mark.parametrize(
    ("text", "shown"),
    [("a\0b", "a\ufffdb"), ("a\ud83d", "a\ufffd"), ("\ud83d\ude00", "😀"), ("한😀", "한😀"), ("\udcff", "\ufffd")],
)
def test_a_shown_text_fits_a_text_column(text: str, shown: str) -> None:
    assert showable(text) == shown


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "Application/JSON; charset=UTF-8",
        "application/vnd.x+json",
        'application/json;charset="utf8"',
    ],
)
def test_json_media_types_come_in(content_type: str) -> None:
    check_media_type(content_type)


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "text/plain",
        "application/jsonx",
        "application/x-www-form-urlencoded",
        "application/json; charset=utf-16",
        "+json",
        "a/b/c+json",
    ],
)
def test_other_media_types_are_415(content_type: str | None) -> None:
    with pytest.raises(UnsupportedMediaTypeError):
        check_media_type(content_type)
