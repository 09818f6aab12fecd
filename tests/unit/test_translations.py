"""Every text of the pages has a translation in every language, and what is compiled is what is written."""

import re

import pytest

from conversations.locale import extract

_PLACEHOLDER = re.compile(r"%\(\w+\)[.\d]*[sdf]")


def _texts(catalog):
    return [message for message in catalog if message.id]


def _variants(text):
    return list(text) if isinstance(text, tuple | list) else [text]


@pytest.fixture(params=extract.LOCALES)
def locale(request):
    return request.param


def test_every_text_of_the_program_is_in_the_catalog_and_no_other(locale):
    expected = {message.id for message in _texts(extract.collect())}
    kept = {message.id for message in _texts(extract.read(locale))}
    assert kept == expected, "run: python -m conversations.locale.extract"


def test_every_text_is_translated_and_none_is_guessed_or_left_over(locale):
    catalog = extract.read(locale)
    assert [message.id for message in _texts(catalog) if not all(_variants(message.string))] == []
    assert [message.id for message in _texts(catalog) if message.fuzzy] == []
    assert not catalog.fuzzy
    assert not catalog.obsolete


def test_translations_have_the_placeholders_of_their_texts(locale):
    for message in _texts(extract.read(locale)):
        expected = set(_PLACEHOLDER.findall(_variants(message.id)[-1]))
        for variant in _variants(message.string):
            assert set(_PLACEHOLDER.findall(variant)) == expected, message.id


def test_babel_finds_no_fault_in_a_translation(locale):
    assert [error for _message, errors in extract.read(locale).check() for error in errors] == []


def test_the_compiled_catalog_is_the_written_one(locale):
    compiled = extract.po_path(locale).with_suffix(".mo").read_bytes()
    assert compiled == extract.as_mo(extract.read(locale))


def test_a_text_in_a_template_is_found_with_its_placeholder(tmp_path):
    page = tmp_path / "page.html"
    page.write_text(
        '{% load i18n %}{% blocktranslate with a=b %}So {{ a }}{% endblocktranslate %}{% translate "Yes" %}'
    )
    with page.open("rb") as file:
        found = [text for _line, _call, text, _comments in extract.extract_template(file, extract._KEYWORDS, (), {})]
    assert found == ["So %(a)s", "Yes"]
