"""IDs: made so that nobody guesses one, and found in whatever a person pastes."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversations.ids import MAX_ID_LENGTH, candidates, new_request_id, new_response_id

REQUEST_ID = "req_ded8ab984ec4bf840f37566c1011c417"
RESPONSE_ID = "chatcmpl-abc123"
UUID = "f15c114e-f47d-40ca-8d5c-8c23d656eeb6"


def test_made_ids_hold_128_bits_in_url_safe_characters() -> None:
    assert re.fullmatch(r"req_[0-9a-f]{32}", new_request_id())
    assert re.fullmatch(r"chatcmpl-[0-9a-f]{32}", new_response_id())


def test_no_two_made_ids_are_the_same() -> None:
    assert len({new_request_id() for _ in range(10_000)}) == 10_000


@pytest.mark.parametrize("made", [REQUEST_ID, RESPONSE_ID, UUID, "call_7", "kgousajxgzyhugvqekuswuqbk", "7", "아이디"])
@pytest.mark.parametrize(
    "pasted",
    [
        "{}",
        "  {}\n",
        '"{}"',
        "'{}'",
        "`{}`",
        "({})",
        "<{}>",
        "{},",
        '"{}",',
        "\u200b{}\ufeff",
        "\xa0{}\u3000",
        "id: {}",
        "x-request-id: {}",
        "X-Request-ID: {}\r\n",
        '"id": "{}"',
        '"id": "{}",',
        '"request_id":"{}"',
        '{{"id":"{}","object":"chat.completion"}}',
        '{{"request_id": "{}"}}',
        "request_id={}",
        "https://daehwa.example/requests/{}",
        "https://daehwa.example/requests/{}/",
        "http://127.0.0.1:8000/v1/chat/completions/{}?x=1",
        "/v1/chat/deferred-completion/{}",
        "https://daehwa.example/api/lookup/?id={}",
    ],
)
def test_an_id_is_found_in_what_people_paste(made: str, pasted: str) -> None:
    assert made in candidates(pasted.format(made))


@pytest.mark.parametrize("made", [REQUEST_ID, RESPONSE_ID, "call_abc", UUID])
@pytest.mark.parametrize(
    "pasted", ["ERROR worker failed on {} after 3 s", "see {}, please", "{}: timed out", "[{}] ok"]
)
def test_an_id_of_a_known_shape_is_found_in_running_text(made: str, pasted: str) -> None:
    assert made in candidates(pasted.format(made))


def test_an_id_alone_comes_first() -> None:
    assert candidates(REQUEST_ID)[0] == REQUEST_ID


@pytest.mark.parametrize("dash", "‐‑‒–—−﹣－")
def test_dashes_that_a_document_made_pretty_are_plain_again(dash: str) -> None:
    assert RESPONSE_ID in candidates(RESPONSE_ID.replace("-", dash))


def test_an_encoded_slash_in_a_url_is_one_slash_of_the_id() -> None:
    assert "a/b" in candidates("https://daehwa.example/completions/a%2Fb")


def test_several_ids_are_all_candidates_without_repeats() -> None:
    found = candidates(f"{REQUEST_ID}\n{RESPONSE_ID}\n{REQUEST_ID}")
    assert found == [REQUEST_ID, RESPONSE_ID]


@pytest.mark.parametrize("pasted", ["", " \t\n", '""', "x" * 10_001, "[]{}", "\u200b"])
def test_what_holds_no_id_gives_none(pasted: str) -> None:
    assert candidates(pasted) == []


def test_an_id_longer_than_any_that_is_kept_is_no_candidate() -> None:
    assert candidates("a" * MAX_ID_LENGTH) == ["a" * MAX_ID_LENGTH]
    assert candidates("a" * (MAX_ID_LENGTH + 1)) == []


def test_other_scripts_digits_and_cases_are_not_folded() -> None:
    assert candidates("req_ABC") == ["req_ABC"]
    assert candidates("１２３") == ["１２３"]


@given(st.text(max_size=300))
def test_whatever_is_pasted_the_candidates_can_be_looked_up(pasted: str) -> None:
    for candidate in candidates(pasted):
        assert 0 < len(candidate) <= MAX_ID_LENGTH
        assert candidate == candidate.strip()
        assert "\0" not in candidate


@pytest.mark.parametrize(
    "pasted", ["[" * 9_999, '{"a":' * 1_900, "id=" * 3_000, "req_" * 2_500, "http://[" + "/" * 9_000]
)
def test_hostile_pastes_are_read_quickly(pasted: str) -> None:
    assert all(len(candidate) <= MAX_ID_LENGTH for candidate in candidates(pasted))
