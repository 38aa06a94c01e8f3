"""Tables as text and as Markdown."""

from collections.abc import Sequence


def text(heads: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 1) -> str:
    """Columns of equal width, a rule under the heads; the first `left` columns flush left, the others right."""
    widths = [max(len(row[column]) for row in [heads, *rows]) for column in range(len(heads))]

    def line(cells: Sequence[str]) -> str:
        padded = [
            cell.ljust(width) if column < left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return "  ".join(padded).rstrip()

    return "\n".join([line(heads), "  ".join("-" * width for width in widths), *map(line, rows)])


def markdown(heads: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 1) -> str:
    """The same as a table in Markdown."""

    def line(cells: Sequence[str]) -> str:
        return f"| {' | '.join(' '.join(cell.split()).replace('|', chr(92) + '|') for cell in cells)} |"

    rule = ["---" if column < left else "---:" for column in range(len(heads))]
    return "\n".join([line(heads), line(rule), *map(line, rows)])


def number(value: float | None, digits: int) -> str:
    """`value` with `digits` decimals, `-` where there is none."""
    return "-" if value is None else f"{value:,.{digits}f}"
