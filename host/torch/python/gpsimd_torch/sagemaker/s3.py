"""Files to and from S3, with a bar for what takes longer than a moment."""

from pathlib import Path

from gpsimd_torch.train.progress import Progress

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


def channels(data: str, destination: str) -> tuple[dict[str, str], list[tuple[Path, str]]]:
    """Channel name -> S3 prefix of `--data`, and the files to upload for that.

    `data` is a local folder with train.csv and test.csv, or an S3 prefix below which names begin with `train` and
    `test`: an S3 channel holds all objects whose keys start with its prefix.
    """
    if data.startswith("s3://"):
        split_uri(data)
        prefix = data if data.endswith("/") else f"{data}/"
        return {name: f"{prefix}{name}" for name in CHANNELS}, []
    folder = Path(data)
    files = [folder / f"{name}.csv" for name in CHANNELS]
    missing = [path.name for path in files if not path.is_file()]
    if missing:
        raise UsageError(
            f"--data {data}: expected a folder with train.csv and test.csv in the layout of Amazon Reviews Polarity, "
            f"or s3://BUCKET/PREFIX; found no {' and no '.join(missing)}"
        )
    targets = {name: f"{destination}/{name}" for name in CHANNELS}
    return targets, [(path, f"{targets[path.stem]}/{path.name}") for path in files]
