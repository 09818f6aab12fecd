"""A search, read from a query string and written back to one."""

import datetime as dt

import pytest
from django.http import QueryDict
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from conversations.errors import BadRequestError
from conversations.models import ChatRequest
from conversations.search import FEATURES, LACKING, MODES, STATES, SURFACES, RequestSearch
from conversations.wire.checks import INT64_MAX

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])).map(str.strip)
MOMENT = st.datetimes(timezones=st.just(dt.UTC)) | st.none() | st.from_regex(r"[0-9]{1,4}[mhdw]", fullmatch=True)


def some(values: st.SearchStrategy[str]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(values, unique=True, max_size=3).map(tuple)


def test_the_known_words_are_the_models_own() -> None:
    assert tuple(ChatRequest.State.values) == STATES
    assert tuple(ChatRequest.Mode.values) == MODES
    assert tuple(ChatRequest.Surface.values) == SURFACES


@given(
    st.builds(
        RequestSearch,
        state=some(st.sampled_from(STATES)),
        mode=some(st.sampled_from(MODES)),
        surface=some(st.sampled_from(SURFACES)),
        has=some(st.sampled_from(FEATURES)),
        lacks=some(st.sampled_from(LACKING)),
        model=some(TEXT.filter(bool)),
        answered_by=some(TEXT.filter(bool)),
        key=some(TEXT.map(lambda text: text[:11].strip()).filter(bool)),
        finish_reason=some(TEXT.filter(bool)),
        project=TEXT,
        user=TEXT,
        service_tier=TEXT,
        error_code=TEXT,
        q=TEXT,
        stored=st.booleans() | st.none(),
        sample=st.booleans() | st.none(),
        min_tokens=st.integers(0, INT64_MAX) | st.none(),
        metadata=st.dictionaries(TEXT, TEXT).map(lambda pairs: tuple(pairs.items())),
        since=MOMENT,
        until=MOMENT,
    )
)
def test_what_is_written_reads_back(search: RequestSearch) -> None:
    assert RequestSearch.from_query(QueryDict(search.to_query().urlencode())) == search


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-01", dt.datetime(2026, 11, 1, tzinfo=dt.UTC)),
        ("2026-11-01T09:00:00", dt.datetime(2026, 11, 1, 9, tzinfo=dt.UTC)),
        ("2026-11-01T09:00:00+09:00", dt.datetime(2026, 11, 1, tzinfo=dt.UTC)),
        ("2026-11-01 09:00", dt.datetime(2026, 11, 1, 9, tzinfo=dt.UTC)),
    ],
)
def test_a_moment_is_utc_unless_it_says_otherwise(text: str, moment: dt.datetime) -> None:
    assert RequestSearch.from_query(QueryDict(f"since={text}")).since == moment


def test_a_time_ago_is_kept_as_it_was_said_and_reckoned_from_now() -> None:
    search = RequestSearch.from_query(QueryDict("since=24h"))
    assert search.to_query().urlencode() == "since=24h"
    assert search.starts_at is not None
    assert abs(timezone.now() - dt.timedelta(days=1) - search.starts_at) < dt.timedelta(seconds=5)


def test_a_whole_key_is_cut_to_its_prefix() -> None:
    assert RequestSearch.from_query(QueryDict("key=dw_AbCdEfGh" + "x" * 36)).key == ("dw_AbCdEfGh",)


@pytest.mark.parametrize(
    "query",
    [
        "state=x",
        "has=wings",
        "lacks=state",
        "stored=2",
        "min_tokens=-1",
        "q=" + "x" * 501,
        "since=x",
        "until=9999-12-31T23:59:59-14:00",
        "user=%00",
    ],
)
def test_a_value_that_cannot_be_one_is_refused_by_name(query: str) -> None:
    with pytest.raises(BadRequestError) as refused:
        RequestSearch.from_query(QueryDict(query))
    assert refused.value.param == query.partition("=")[0]
