"""Texts cut into grams, and hits marked, in any script."""

import itertools
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversations.wire.grams import MAX_TERMS, MAX_TEXT_LENGTH, grams_of, grams_to_find, marks, normalised, terms_of

MIXED = st.text(st.sampled_from("abcABC12 _-.'\"\n한국어말이中文かなßéÅﬁＡ١🙂"), max_size=30)


@pytest.mark.parametrize(
    ("text", "grams"),
    [
        ("Hello", ["ell", "hel", "llo"]),
        ("AI is", ["ai", "is"]),
        ("한국어", ["국", "국어", "어", "한", "한국"]),
        ("中文 ", ["中", "中文", "文"]),
        ("GPT모델", ["gpt", "델", "모", "모델"]),
        ("ＡＢＣ", ["abc"]),
        ("!?", []),
    ],
)
def test_words_are_cut_into_triples_and_runs_without_spaces_into_pairs(text: str, grams: list[str]) -> None:
    assert grams_of(text) == grams


@given(MIXED, MIXED, st.text(st.sampled_from("abcABC한국어中文-.🙂ß"), min_size=3, max_size=6))
def test_every_text_with_a_term_in_it_has_the_terms_grams(before: str, after: str, term: str) -> None:
    # A word of one or two letters is a gram as a whole only.
    if all(len(word) > 2 for word in term.replace("-", ".").split(".")) and term.isalpha():
        assert set(grams_to_find(term)) <= set(grams_of(before + term + after))


@pytest.mark.parametrize(
    ("term", "text"),
    [("gpt-4", "the gpt-4o model"), ("국어", "한국어로"), ("밥", "김밥"), ("C#", "in C# or C"), ("🙂", "a🙂b")],
)
def test_what_is_part_of_a_longer_word_is_found(term: str, text: str) -> None:
    assert set(grams_to_find(term)) <= set(grams_of(text))
    assert marks(text, [term])


def test_a_query_is_words_and_quoted_phrases() -> None:
    assert terms_of(' foo  "bar  baz" ＡＢＣ “한국 말” foo') == ["foo", "bar  baz", "ABC", "한국 말"]
    assert terms_of('"') == terms_of(' "" ') == []
    assert len(terms_of(" ".join(str(n) for n in range(50)))) == MAX_TERMS


@pytest.mark.parametrize(
    ("text", "query", "hits"),
    [
        ("Straße und STRASSE", "strasse", ["Straße", "STRASSE"]),
        ("ＡＢＣ", "abc", ["ＡＢＣ"]),
        ("aaaa", "aa", ["aaaa"]),
        ("abcd", "abc bcd", ["abcd"]),
        ("한국어, 한국", "한국", ["한국", "한국"]),
        (
            unicodedata.normalize("NFD", "한국어 café"),
            "국어 café",
            [unicodedata.normalize("NFD", t) for t in ("국어", "café")],
        ),
    ],
)
def test_hits_are_marked_where_they_stand_in_the_text_itself(text: str, query: str, hits: list[str]) -> None:
    assert [text[start:end] for start, end in marks(text, terms_of(query))] == hits


@given(MIXED, MIXED)
def test_marks_are_in_order_within_the_text_and_hold_what_was_looked_for(text: str, query: str) -> None:
    spans = marks(text, terms_of(query))
    assert all(0 <= start < end <= len(text) for start, end in spans)
    assert all(end < start for (_, end), (start, _) in itertools.pairwise(spans))
    if not spans and text.isascii():
        assert not any(term.casefold() in normalised(text).casefold() for term in terms_of(query))


def test_only_the_beginning_of_an_enormous_text_is_cut() -> None:
    assert len(grams_of("가" * MAX_TEXT_LENGTH + "나")) == 2
