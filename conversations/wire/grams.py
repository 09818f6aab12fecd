"""Short pieces of texts, by which an index finds what was said in any language.

Korean, Chinese and Japanese are written without the spaces that would make words of them, or with endings at
the words: their runs are cut into characters and pairs of characters, and words of other scripts into triples.
Whatever is found by grams must still be looked at: they say nothing about order.
"""

import re
import unicodedata
from collections.abc import Iterator

MAX_TEXT_LENGTH = 100_000
"""Characters of a text that are cut into grams."""

MAX_TERMS = 10
"""Words and phrases of a query that are searched for."""

_CJK = (
    "\u1100-\u11ff\u3005-\u3007\u3040-\u30ff\u3130-\u318f\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\U00020000-\U0003ffff"
)
_RUNS = re.compile(rf"([{_CJK}]+)|([^\W_{_CJK}]+)")
_TERMS = re.compile(r"[\"“”]([^\"“”]+)[\"“”]?|([^\s\"“”]+)")
_JOINS_THE_ONE_BEFORE = re.compile("[\u1160-\u11ff\uff9e\uff9f]")


def normalised(text: str) -> str:
    """The text in Unicode's NFKC form, in which it is kept and searched: full-width letters are letters."""
    return unicodedata.normalize("NFKC", text)


def grams_of(text: str) -> list[str]:
    """The distinct grams of a text's first ``MAX_TEXT_LENGTH`` characters, sorted."""
    grams: set[str] = set()
    for cjk, word in set(_RUNS.findall(_folded(text[:MAX_TEXT_LENGTH]))):
        if cjk:
            grams.update(cjk)
            grams.update(_pieces(cjk, 2))
        else:
            grams.update(_pieces(word, 3))
    return sorted(grams)


def grams_to_find(term: str) -> list[str]:
    """The grams that every text with this term in it has; none where the term has no letter or digit."""
    folded = _folded(term)
    runs = list(_RUNS.finditer(folded))
    grams: dict[str, None] = {}
    for run in runs:
        word, is_cjk = run[0], bool(run[1])
        if is_cjk or len(word) >= 3:
            grams.update(dict.fromkeys(_pieces(word, 2 if is_cjk else 3)))
        elif len(runs) == 1 or (run.start() > 0 and run.end() < len(folded)):
            # A short word is a gram as a whole; at the edge of a longer term it may be the rest of a longer word.
            grams[word] = None
    return list(grams)


def terms_of(query: str) -> list[str]:
    """The words and "quoted phrases" of a query, in NFKC form, without repeats: at most ``MAX_TERMS``."""
    found = ((phrase or word).strip() for phrase, word in _TERMS.findall(normalised(query)))
    return list(dict.fromkeys(term for term in found if term))[:MAX_TERMS]


def marks(text: str, terms: list[str]) -> list[tuple[int, int]]:
    """Where the terms are in a text: spans of its characters in order, those that touch made one."""
    folded, origin = _folded_with_origin(text)
    spans: list[tuple[int, int]] = []
    for term in filter(None, map(_folded, terms)):
        start = folded.find(term)
        while start >= 0:
            end = start + len(term)
            spans.append((origin[start][0], origin[end - 1][1]) if origin else (start, end))
            start = folded.find(term, end)
    return _merged(sorted(spans))


def _folded(text: str) -> str:
    return text.casefold() if text.isascii() else normalised(normalised(text).casefold())


def _pieces(word: str, length: int) -> list[str]:
    return [word[start : start + length] for start in range(max(1, len(word) - length + 1))]


def _folded_with_origin(text: str) -> tuple[str, list[tuple[int, int]]]:
    """The folded text, and for each of its characters the span that it comes from (none where it is its own)."""
    folded = _folded(text)
    if text.isascii():
        return folded, []
    pieces: list[str] = []
    origin: list[tuple[int, int]] = []
    for start, cluster in _clusters(text):
        piece = _folded(cluster)
        pieces.append(piece)
        origin += [(start, start + len(cluster))] * len(piece)
    return "".join(pieces), origin


def _clusters(text: str) -> Iterator[tuple[int, str]]:
    """The text in pieces that are normalised each for itself: a character and what combines with it."""
    start = 0
    for position in range(1, len(text) + 1):
        if position == len(text) or not _combines(text[position]):
            yield start, text[start:position]
            start = position


def _combines(character: str) -> bool:
    return character > "\u02ff" and (
        unicodedata.combining(character) > 0 or _JOINS_THE_ONE_BEFORE.match(character) is not None
    )


def _merged(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in spans:
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged
