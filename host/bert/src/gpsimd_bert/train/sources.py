"""Where the reviews come from: what `--data` may name, and what it means."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gpsimd_bert.reviews import text_of, what_is_read

from .container import Channels
from .errors import TrainerError
from .places import expect_hub_name
from .review_sets import Concatenated, CsvReviews, ReviewSet, Subset
from .synthetic import SyntheticReviews

# Of a single file: every review is in one of the two parts, which depend on the number of reviews only.
VALIDATION_SHARE = 0.1
SPLIT_SEED = 0


@dataclass
class Source:
    """Reviews to train on and to validate with, and a sentence for the reader that says what they are."""

    train: ReviewSet
    validation: ReviewSet
    description: str


def open_source(
    data: str | None, channels: Channels | None = None, text: str = "content", *, progress: bool = False
) -> Source:
    """The reviews that `--data` names, or else those of `channels`, or else synthetic ones; of which `text` is read.

    Raises `TrainerError` where there are none or they are malformed.
    """
    if data is None and channels is not None:
        return _from_channels(channels, text, progress)
    if data is None:
        train, validation = SyntheticReviews("training"), SyntheticReviews("validation")
        return Source(
            train,
            validation,
            _counted("synthetic reviews (made up by this package: no --data)", train, validation),
        )
    path = Path(data)
    if path.is_dir():
        return _from_folder(path, text, progress)
    if path.is_file():
        return _from_file(path, text, progress)
    if data.startswith("s3://"):
        raise TrainerError(
            f"--data {data}: the trainer does not read from S3 itself; in a training job, make it the channel train, "
            "elsewhere copy it first and name the folder"
        )
    expected = "a folder with train.csv and test.csv, a CSV file, or the name of a Hugging Face dataset"
    if path.suffix == ".csv":
        raise TrainerError(f"--data {data}: no such file or folder; expected {expected}")
    expect_hub_name("--data", data, expected)
    return _from_hub(data, text)


def _from_folder(folder: Path, text: str, progress: bool) -> Source:
    missing = [name for name in ("train.csv", "test.csv") if not (folder / name).is_file()]
    if missing:
        raise TrainerError(
            f"--data {folder}: expected train.csv and test.csv in it, {' and '.join(missing)} "
            "missing; to train on one file, name the file itself, of which a tenth is held out"
        )
    train = CsvReviews(folder / "train.csv", text=text, progress=progress)
    validation = CsvReviews(folder / "test.csv", text=text, progress=progress)
    return Source(train, validation, _counted(str(folder), train, validation))


def _from_channels(channels: Channels, text: str, progress: bool) -> Source:
    train, files = _of_channel(channels.train, "train.csv", text, progress)
    if channels.validation is not None:
        validation, held_out = _of_channel(channels.validation, "test.csv", text, progress)
        return Source(train, validation, _counted(f"channels {files} and {held_out}", train, validation))
    if (Path(channels.train) / "train.csv").is_file() and (Path(channels.train) / "test.csv").is_file():
        return _from_folder(Path(channels.train), text, progress)
    return _split(train, f"channel {files}")


def _of_channel(folder: str, name: str, text: str, progress: bool) -> tuple[ReviewSet, str]:
    """The reviews of the file `name` in a channel's folder, or else of all its CSV files; and what they are from."""
    named = Path(folder) / name
    files = [named] if named.is_file() else sorted(Path(folder).rglob("*.csv"))
    if not files:
        raise TrainerError(
            f"channel {folder}: expected CSV files with reviews, found none; point the channel at the S3 prefix or "
            "file that holds them, in File mode"
        )
    parts = [CsvReviews(file, text=text, progress=progress) for file in files]
    described = str(files[0]) if len(files) == 1 else f"{folder} ({len(files)} CSV files)"
    return parts[0] if len(parts) == 1 else Concatenated(parts), described


def _from_file(path: Path, text: str, progress: bool) -> Source:
    return _split(CsvReviews(path, text=text, progress=progress), str(path))


def _split(reviews: ReviewSet, what: str) -> Source:
    count = len(reviews.labels)
    if count < 2:
        raise TrainerError(f"{what} holds {count} review; at least 2 are needed, one of them for validation")
    order = np.random.default_rng(SPLIT_SEED).permutation(count)
    held_out = max(1, round(count * VALIDATION_SHARE))
    validation = Subset(reviews, np.sort(order[:held_out]))
    train = Subset(reviews, np.sort(order[held_out:]))
    return Source(
        train,
        validation,
        _counted(f"{what}, a random tenth (the same in every run) held out", train, validation),
    )


def _from_hub(name: str, text: str) -> Source:
    import datasets

    datasets.disable_progress_bars()
    try:
        splits = datasets.load_dataset(name)
    except Exception as error:  # the library and its HTTP client raise dozens of unrelated types here
        raise TrainerError(
            f"--data {name}: no such file or folder, and it could not be loaded as a Hugging Face dataset "
            f"({type(error).__name__}: {(str(error) or 'no message').splitlines()[0]}); without "
            "a network, name a folder with train.csv and test.csv"
        ) from error
    missing = {"train", "test"} - set(splits)
    if missing:
        raise TrainerError(f"dataset {name}: expected the splits train and test, found {', '.join(splits)}")
    train, validation = (HubReviews(name, splits[part], text) for part in ("train", "test"))
    return Source(train, validation, _counted(f"Hugging Face dataset {name}", train, validation))


class HubReviews:
    """One split of a Hugging Face dataset: columns content (text) and label (0 negative, 1 positive).

    The library keeps the rows in memory-mapped Arrow files, so nothing is read before it is used.
    """

    def __init__(self, name: str, split, text: str = "content"):
        """`split`: a `datasets.Dataset`; `name` for messages; `text`: what of a review counts."""
        expected = [*(["title"] if text == "title+content" else []), "content", "label"]
        if not set(expected) <= set(split.column_names):
            raise TrainerError(
                f"dataset {name}: expected the columns {' and '.join(expected)}, found {', '.join(split.column_names)}"
            )
        labels = np.asarray(split.with_format("numpy")["label"][:])
        if labels.size == 0 or not np.isin(labels, (0, 1)).all():
            raise TrainerError(
                f"dataset {name}: expected labels 0 (negative) and 1 (positive), found {set(labels.tolist())}"
            )
        self.labels = labels.astype(np.uint8)
        self._split, self._text = split, text

    def contents(self, rows) -> list[str]:
        """The texts of `rows`, in that order."""
        # The hub's copies of the release have kept its escapes.
        found = self._split[[int(row) for row in rows]]
        titles = found["title"] if self._text == "title+content" else [""] * len(found["content"])
        pairs = zip(titles, found["content"], strict=True)
        return [what_is_read(text_of(title), text_of(content), self._text) for title, content in pairs]


def _counted(what: str, train: ReviewSet, validation: ReviewSet) -> str:
    return f"{what}: {len(train.labels):,} reviews to train on, {len(validation.labels):,} to validate with"
