"""Whole numbers in what others write: headers, CSV files, environment variables."""


def decimal(text: str) -> int | None:
    """The number that decimal digits alone write; `None` for other text, and for more digits than Python reads."""
    try:
        return int(text) if text.isdecimal() else None
    except ValueError:
        return None
