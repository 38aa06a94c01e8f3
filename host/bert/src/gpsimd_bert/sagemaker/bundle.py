"""What travels to the containers: the source of a training job, and a trained model with its handlers.

Archives are the same bytes for the same files: no times, no owners, names in order.
"""

import gzip
import io
import json
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .errors import UsageError
from .imports import imported_files

# torch and transformers are in the container; of this package, what goes there with it.
HANDLERS = "serve/handlers.py"
INFERENCE = """\
\"\"\"What the container calls.\"\"\"

from gpsimd_bert.serve.handlers import input_fn, model_fn, output_fn, predict_fn

__all__ = ["input_fn", "model_fn", "output_fn", "predict_fn"]
"""
INFERENCE_REQUIREMENTS = ("transformers>=5.23,<6",)
# Of an op package: what `build.py` reads. The rest is the library for this machine's CPU.
PACKAGE_FILES = ("*.cpp", "build.py", "build.json", "manifest.json")
# What a job installs, each with a file that tells it from a wheel of another package; what they need comes from PyPI.
WHEELS = {"gpsimd_torch": "gpsimd_torch/ops.py", "gpsimd_bert": "gpsimd_bert/train/metrics.py"}
# Of a model.
Files = dict[str, Path | str | bytes]
WEIGHTS = ("model.safetensors", "pytorch_model.bin", "model.safetensors.index.json")


@dataclass(frozen=True)
class Source:
    """Where the parts of a job's source are; each is there."""

    wheels: tuple[Path, ...]
    package: Path
    neuron_library: Path | None


def find_source(wheels: Path, package: Path, neuron_library: Path | None) -> Source:
    """The parts in the folders that were named; `UsageError` unless all are there."""
    found = tuple(_wheel(wheels, name, file) for name, file in WHEELS.items())
    missing = next((name for name in ("build.py", "manifest.json") if not (package / name).is_file()), None)
    if missing is not None:
        raise UsageError(
            f"--package {package}: expected an op package as `cargo gpsimd build` makes it, found no {missing} in it"
        )
    if neuron_library is not None and not (neuron_library.is_file() and neuron_library.match("lib*_neuron.so")):
        raise UsageError(
            f"--neuron-library {neuron_library}: expected lib..._neuron.so as `cargo gpsimd build --neuron` makes "
            "it on a Neuron host"
        )
    return Source(found, package, neuron_library)


def _wheel(folder: Path, name: str, file: str) -> Path:
    """The one wheel of the package `name`, which holds `file`."""
    wheels = sorted(folder.glob(f"{name}-*.whl"))
    if len(wheels) != 1:
        found = ", ".join(wheel.name for wheel in wheels) or "none"
        raise UsageError(f"--wheels {folder}: expected one wheel of {name}, {name}-*.whl, found {found}")
    try:
        with zipfile.ZipFile(wheels[0]) as files:
            names = set(files.namelist())
    except (OSError, zipfile.BadZipFile) as error:
        raise UsageError(f"{wheels[0]}: expected a wheel of {name}, found a file that is none ({error})") from error
    if file not in names:
        raise UsageError(
            f"{wheels[0]}: expected a wheel with {file}, found none: it is of another package or another version; "
            "build it again"
        )
    return wheels[0]


def pack_source(source: Source, archive: Path) -> list[str]:
    """Writes `sourcedir.tar.gz`; returns the names in it."""
    files: dict[str, Path | str] = {
        "job_entry.py": Path(__file__).with_name("job_entry.py"),
        "requirements.txt": "".join(f"./{wheel.name}\n" for wheel in source.wheels),
        **{wheel.name: wheel for wheel in source.wheels},
    }
    for pattern in PACKAGE_FILES:
        files |= {f"package/{path.name}": path for path in source.package.glob(pattern)}
    if source.neuron_library is not None:
        files[source.neuron_library.name] = source.neuron_library
        manifest = source.neuron_library.with_name("manifest.json")
        if manifest.is_file():
            files["manifest.json"] = manifest
    return _pack(files, archive)


def pack_model(files: Files, archive: Path) -> list[str]:
    """Writes `model.tar.gz` of a model's files, with the handlers under `code/`."""
    return _pack({**files, **handlers()}, archive)


def read_model(model: Path) -> Files:
    """The files of a model, without the `code` of an archive; `UsageError` unless they are one with its tokenizer.

    `model` is a folder that plain transformers loads, or the `model.tar.gz` of a training job.
    """
    if model.is_dir():
        files = {path.name: path for path in model.iterdir() if path.is_file() and not path.name.startswith(".")}
    else:
        files = _unpack(model)
    if "config.json" not in files or not any(name in files for name in WEIGHTS):
        raise UsageError(
            f"{model}: expected a model with config.json and model.safetensors, as the trainer writes it with "
            "--model-dir; found neither or only one"
        )
    if not any(name in files for name in ("tokenizer.json", "vocab.txt")):
        raise UsageError(f"{model}: expected a tokenizer beside the model (tokenizer.json), found none")
    return files


def review_text(files: Files, what: str) -> str:
    """What the model `what` reads of a review, as the trainer was told by --text: `content` or `title+content`."""
    config = files["config.json"]
    try:
        found = json.loads(config.read_bytes() if isinstance(config, Path) else config)
        return found.get("review_text", "content")
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        raise UsageError(
            f"{what}: expected an object of JSON in config.json, as the trainer writes it, but {error}"
        ) from error


def handlers() -> dict[str, Path | str]:
    """What the stock PyTorch container runs: `inference.py`, and of this package what it imports."""
    package = Path(__file__).parent.parent
    try:
        files = imported_files(package, HANDLERS)
    except OSError as error:
        raise UsageError(f"this installation of gpsimd_bert is damaged, install it again: {error}") from error
    return {f"code/{package.name}/{path.relative_to(package).as_posix()}": path for path in files} | {
        "code/inference.py": INFERENCE,
        "code/requirements.txt": "".join(f"{line}\n" for line in INFERENCE_REQUIREMENTS),
    }


def _unpack(archive: Path) -> Files:
    """The files of the model in an archive."""
    files: Files = {}
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                name = member.name.removeprefix("./")
                if member.isfile() and not name.startswith("code/"):
                    # A name is only a name here: nothing is extracted.
                    files[name] = tar.extractfile(member).read()  # type: ignore[union-attr]
            # Checksums stand at the end of what is compressed, behind where tar stops.
            while tar.fileobj.read(1 << 20):  # type: ignore[union-attr]
                pass
    except (tarfile.TarError, EOFError, OSError, zlib.error, lzma.LZMAError) as error:
        reason = str(error).splitlines()[0].rstrip(":")  # tarfile lists all formats below it
        raise UsageError(f"{archive}: expected the model.tar.gz of a training job, but {reason}") from error
    root = _root_of(files, archive)
    return {name.removeprefix(root): data for name, data in files.items()}


def _root_of(files: Files, archive: Path) -> str:
    """Where in the archive the model is: at the root, or in its one subfolder that holds one (`rust/`)."""
    configs = [name for name in files if name == "config.json" or name.endswith("/config.json")]
    if len(configs) != 1:
        raise UsageError(
            f"{archive}: expected one model in it, found {len(configs)} files config.json"
            + (f" ({', '.join(sorted(configs))}); pack the one to deploy alone" if configs else "")
        )
    return configs[0].removesuffix("config.json")


def _pack(files: dict, archive: Path) -> list[str]:
    with (
        archive.open("wb") as raw,
        gzip.GzipFile(fileobj=raw, mode="wb", filename="", mtime=0, compresslevel=6) as compressed,
        tarfile.open(fileobj=compressed, mode="w") as tar,
    ):
        for name, content in sorted(files.items()):
            for member, stream in _member(name, content):
                with stream:
                    tar.addfile(member, stream)
    return sorted(files)


def _member(name: str, content: Path | str | bytes) -> Iterator[tuple[tarfile.TarInfo, io.BufferedIOBase]]:
    member = tarfile.TarInfo(name)
    member.mode = 0o644
    if isinstance(content, Path):
        member.size = content.stat().st_size
        yield member, content.open("rb")
    else:
        data = content.encode() if isinstance(content, str) else content
        member.size = len(data)
        yield member, io.BytesIO(data)
