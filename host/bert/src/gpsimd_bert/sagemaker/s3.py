"""Files to and from S3, with a bar for what takes longer than a moment."""

from pathlib import Path

from gpsimd_bert.progress import Progress
from gpsimd_bert.train.errors import TrainerError
from gpsimd_bert.train.review_sets import CsvReviews

from .aws import Aws, split_uri
from .errors import UsageError, calling

# The names of the trainer's channels, and what may hold the reviews of each in a folder.
CHANNELS = ("train", "test")


def upload(aws: Aws, path: Path, uri: str, *, what: str) -> str:
    """Copies a file to `uri`, which it returns; a transfer that breaks leaves nothing there."""
    bucket, key = split_uri(uri)
    with (
        calling(f"uploading {what} to {uri}"),
        Progress(f"uploading {what}", path.stat().st_size, "B") as bar,
    ):
        aws.client("s3").upload_file(str(path), bucket, key, Callback=bar.advance)
    return uri


def download(aws: Aws, uri: str, path: Path, *, what: str) -> None:
    """Copies the object `uri` to a file."""
    bucket, key = split_uri(uri)
    s3 = aws.client("s3")
    with calling(f"reading {uri}"):
        size = s3.head_object(Bucket=bucket, Key=key)["ContentLength"]
    with calling(f"downloading {uri}"), Progress(f"downloading {what}", size, "B") as bar:
        s3.download_file(bucket, key, str(path), Callback=bar.advance)


def find_reviews(data: str) -> list[Path]:
    """The files to upload for `--data`, read to their ends by the trainer's reader; none if they are in S3 already."""
    if data.startswith("s3://"):
        split_uri(data)
        return []
    files = [Path(data) / f"{name}.csv" for name in CHANNELS]
    missing = [path.name for path in files if not path.is_file()]
    if missing:
        raise UsageError(
            f"--data {data}: expected a folder with train.csv and test.csv in the layout of Amazon Reviews Polarity, "
            f"or s3://BUCKET/PREFIX; found no {' and no '.join(missing)}"
        )
    for path in files:
        try:
            CsvReviews(path, progress=True)
        except TrainerError as error:
            raise UsageError(f"--data {data}: {error}") from error
    return files


def channels(data: str, destination: str) -> dict[str, str]:
    """Channel name -> S3 prefix: below `data` if that is in S3, where names begin with `train` and `test`.

    An S3 channel holds all objects whose keys start with its prefix.
    """
    prefix = data.rstrip("/") if data.startswith("s3://") else destination
    return {name: f"{prefix}/{name}" for name in CHANNELS}
