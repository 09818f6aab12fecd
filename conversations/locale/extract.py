"""Collects every text of the pages into the catalogs of their translations, and compiles those.

``python -m conversations.locale.extract`` updates and compiles; with ``--check`` it only says what is not up to date.
Needs Babel, a tool of development: both the ``.po`` and the ``.mo`` files are kept, so that running needs nothing.
"""

import io
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog
from babel.messages.extract import DEFAULT_KEYWORDS, extract, extract_python
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from django.conf import settings
from django.utils.translation.template import templatize

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
LOCALES = ("ko", "zh_Hans")
SOURCES = (("config", "*.py"), ("conversations", "*.py"), ("conversations", "*.html"), ("templates", "*.html"))
_KEYWORDS: Mapping[str, Any] = {
    **DEFAULT_KEYWORDS,
    "gettext_lazy": None,
    "gettext_noop": None,
    "ngettext_lazy": (1, 2),
    "pgettext_lazy": ((1, "c"), 2),
}


def extract_template(
    file: Any, keywords: Mapping[str, Any], comment_tags: Collection[str], options: Mapping[str, Any]
) -> Iterator[Any]:
    """Babel's extractor for Django's templates: what Django makes of them is read as Python."""
    source = templatize(file.read().decode(), origin=str(getattr(file, "name", "")))
    # What stands before a text is blanked out, and would be read as Python's indentation.
    unindented = "\n".join(line.lstrip() for line in source.splitlines())
    yield from extract_python(io.BytesIO(unindented.encode()), keywords, comment_tags, {})


def collect() -> Catalog:
    """Every text that can be translated, with the files it is in."""
    catalog = Catalog(project="Daehwa", charset="utf-8", fuzzy=False)
    for folder, pattern in SOURCES:
        for path in sorted((ROOT / folder).rglob(pattern)):
            if "migrations" in path.parts:
                continue
            method: Any = extract_template if path.suffix == ".html" else "python"
            with path.open("rb") as file:
                for _line, text, comments, context in extract(method, file, _KEYWORDS):
                    place = [(path.relative_to(ROOT).as_posix(), 0)]
                    catalog.add(text, locations=place, auto_comments=comments, context=context)
    return catalog


def po_path(locale: str) -> Path:
    """Where a language's catalog is kept."""
    return HERE / locale / "LC_MESSAGES" / "django.po"


def read(locale: str) -> Catalog:
    """A language's catalog as it is kept; an empty one for a new language."""
    path = po_path(locale)
    if not path.exists():
        return Catalog(locale=locale, project="Daehwa", charset="utf-8", fuzzy=False)
    with path.open("rb") as file:
        return read_po(file, locale=locale)


def updated(locale: str, texts: Catalog) -> Catalog:
    """A language's catalog brought up to date: new texts untranslated, old ones gone, nothing guessed."""
    catalog = read(locale)
    catalog.update(texts, no_fuzzy_matching=True, update_creation_date=False)
    catalog.obsolete.clear()
    catalog.header_comment = "# The texts of Daehwa's pages."
    catalog.version = catalog.msgid_bugs_address = catalog.last_translator = catalog.language_team = ""
    catalog.revision_date = catalog.creation_date
    return catalog


def as_po(catalog: Catalog) -> bytes:
    """A catalog as a ``.po`` file. Without line numbers: they would change with every edit elsewhere."""
    file = io.BytesIO()
    write_po(file, catalog, width=120, include_lineno=False, sort_output=True)
    return file.getvalue()


def as_mo(catalog: Catalog) -> bytes:
    """A catalog as the ``.mo`` file that Django reads."""
    file = io.BytesIO()
    write_mo(file, catalog)
    return file.getvalue()


def main(arguments: Sequence[str]) -> int:
    """Bring every language up to date; the exit code is 1 when ``--check`` finds one that is not."""
    if not settings.configured:
        settings.configure(USE_I18N=False)
    texts = collect()
    stale = False
    for locale in LOCALES:
        catalog = updated(locale, texts)
        path = po_path(locale)
        missing = [message.id for message in catalog if message.id and not _is_translated(message.string)]
        changed = not path.exists() or path.read_bytes() != as_po(catalog)
        stale = stale or changed or bool(missing)
        if "--check" not in arguments:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(as_po(catalog))
            path.with_suffix(".mo").write_bytes(as_mo(catalog))
        sys.stdout.write(f"{locale}: {len(catalog)} texts, {len(missing)} without a translation\n")
    return int(stale and "--check" in arguments)


def _is_translated(string: Any) -> bool:
    return all(string) if isinstance(string, tuple) else bool(string)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
