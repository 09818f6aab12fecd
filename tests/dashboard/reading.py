"""Tables and charts of a page, read back out of its HTML."""

from dataclasses import dataclass, field
from html.parser import HTMLParser


@dataclass
class Cell:
    """A cell's text, without its remarks, and where its link leads."""

    text: str = ""
    address: str = ""


@dataclass
class Table:
    """A table's column names, and its rows: a name and cells."""

    columns: list[str] = field(default_factory=list)
    rows: list[list[Cell]] = field(default_factory=list)


class PageReader(HTMLParser):
    """Every table with its cells, and every linked column of a chart with its title."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tables: list[Table] = []
        self.columns: list[Cell] = []
        self.inside: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open a table, a row, a cell or a link."""
        address = dict(attrs).get("href") or ""
        self.inside.append(tag)
        if tag == "table":
            self.tables.append(Table())
        elif tag == "tr":
            self.tables[-1].rows.append([])
        elif tag in {"td", "th"}:
            self.tables[-1].rows[-1].append(Cell())
        elif tag == "a" and "svg" in self.inside:
            self.columns.append(Cell(address=address))
        elif tag == "a" and self._in_cell():
            self.tables[-1].rows[-1][-1].address = address
        if tag in {"input", "meta", "link", "br", "wbr"}:
            self.inside.pop()

    def handle_endtag(self, tag: str) -> None:
        """Close an element; the first row of a table holds the names of its columns."""
        while self.inside and self.inside.pop() != tag:
            pass
        if tag == "thead":
            self.tables[-1].columns = [cell.text for cell in self.tables[-1].rows.pop()]

    def handle_data(self, data: str) -> None:
        """Take a cell's or a column's text."""
        if self.inside and self.inside[-1] == "title" and "svg" in self.inside:
            self.columns[-1].text += data
        elif self._in_cell() and "small" not in self.inside:
            cell = self.tables[-1].rows[-1][-1]
            cell.text = (cell.text + data).strip()

    def _in_cell(self) -> bool:
        return bool({"td", "th"} & set(self.inside))
