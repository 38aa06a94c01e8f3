"""Tables as text and as Markdown, and a column of facts; in ASCII, which every terminal and log shows."""

import io
from collections.abc import Sequence

from rich.box import Box
from rich.console import Console
from rich.table import Table

# Nothing but a rule under the heads.
_RULE = Box("    \n    \n -  \n    \n    \n    \n    \n    \n", ascii=True)


def text(heads: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 1) -> str:
    """Columns of equal width, a rule under the heads; the first `left` columns flush left, the others right."""
    table = Table(box=_RULE, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for column, head in enumerate(heads):
        table.add_column(head, justify="left" if column < left else "right", no_wrap=True)
    return _rendered(table, rows)


def facts(rows: Sequence[tuple[str, str]], *, right: bool = True) -> str:
    """Names to the left, values to the right, or flush left."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(justify="right" if right else "left", no_wrap=True)
    return _rendered(table, rows)


def markdown(heads: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 1) -> str:
    """The same as `text`, as a table in Markdown."""

    def line(cells: Sequence[str]) -> str:
        return f"| {' | '.join(' '.join(cell.split()).replace('|', chr(92) + '|') for cell in cells)} |"

    rule = ["---" if column < left else "---:" for column in range(len(heads))]
    return "\n".join([line(heads), line(rule), *map(line, rows)])


def number(value: float | None, digits: int) -> str:
    """`value` with `digits` decimals, `-` where there is none."""
    return "-" if value is None else f"{value:,.{digits}f}"


def _rendered(table: Table, rows: Sequence[Sequence[str]]) -> str:
    for row in rows:
        table.add_row(*row)
    lines = io.StringIO()
    # As wide as it gets: what cuts lines is the terminal. Names may look like rich's markup.
    Console(file=lines, width=10_000, color_system=None, markup=False, emoji=False, highlight=False).print(table)
    return "\n".join(line.rstrip() for line in lines.getvalue().splitlines())
