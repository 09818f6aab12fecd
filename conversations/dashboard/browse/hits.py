"""Where the words that somebody looks for are in what was said, with a little of what is around them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import F, TextField, Value
from django.db.models.functions import Greatest, Lower, StrIndex, Substr

from conversations.dashboard.reading.rendering import visible
from conversations.models import ChatRequest, SearchText
from conversations.search import RequestSearch
from conversations.wire.grams import marks

LEAD = 40
"""Characters shown before the first hit."""

LENGTH = 220
"""Characters shown in all."""


@dataclass(frozen=True)
class Piece:
    """A piece of a text, and whether it is one that was looked for."""

    text: str
    is_hit: bool


def read_hits(requests: Sequence[ChatRequest], search: RequestSearch) -> dict[int, list[Piece]]:
    """For each request (by its pk) the place of the first hit, in pieces. Nothing where no text is looked for."""
    terms = search.terms
    if not terms or not requests:
        return {}
    place = StrIndex(Lower("said"), Value(terms[0].lower(), TextField()))
    texts = SearchText.objects.filter(pk__in=[request.pk for request in requests]).annotate(place=place)
    around = texts.annotate(around=Substr("said", Greatest(F("place") - LEAD, 1), LENGTH))
    return {pk: pieces_of(text, terms, cut=at > LEAD) for pk, text, at in around.values_list("pk", "around", "place")}


def pieces_of(text: str, terms: list[str], *, cut: bool = False) -> list[Piece]:
    """A text in pieces, those with a term in them marked; ``cut`` says that it began earlier."""
    pieces = [Piece("…", is_hit=False)] if cut else []
    done = 0
    for start, end in marks(text, terms):
        pieces += [Piece(visible(text[done:start]), is_hit=False), Piece(visible(text[start:end]), is_hit=True)]
        done = end
    return [piece for piece in [*pieces, Piece(visible(text[done:]), is_hit=False)] if piece.text]
