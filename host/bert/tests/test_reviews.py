"""One reader of reviews: the trainer, `predict`, requests and batch jobs read the same texts from the same bytes."""

import csv
import io
import pathlib

import pytest
from gpsimd_bert import reviews
from gpsimd_bert.sagemaker.errors import UsageError
from gpsimd_bert.sagemaker.transform import read_texts
from gpsimd_bert.serve.errors import RequestError, ServeError
from gpsimd_bert.serve.handlers import input_fn
from gpsimd_bert.serve.review_file import ReviewFile
from gpsimd_bert.train.errors import TrainerError
from gpsimd_bert.train.review_sets import CsvReviews
from gpsimd_bert.train.sources import HubReviews

CLASSES = ["negative", "positive"]
MISTAKES = (TrainerError, ServeError, RequestError, UsageError)


def trained(path: pathlib.Path) -> list[str]:
    read = CsvReviews(path)
    return read.contents(range(len(read.labels)))


READERS = {
    "train": trained,
    "predict": lambda path: [review.text for review in ReviewFile(path, CLASSES)],
    "predict a column": lambda path: [review.text for review in ReviewFile(path, CLASSES, "3")],
    "serve": lambda path: input_fn(path.read_bytes(), "text/csv").texts,
    "transform": lambda path: list(read_texts(path)),
}


@pytest.fixture(params=READERS)
def read(request, tmp_path):
    """Reads bytes as one of the commands does."""

    def texts(content: str | bytes) -> list[str]:
        path = tmp_path / "a.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return READERS[request.param](path)

    return texts


@pytest.mark.parametrize(
    ("field", "text"),
    [
        (r"First line.\nTerrible ending.\n\nBuy it.", "First line.\nTerrible ending.\n\nBuy it."),
        (r"\n", "\n"),
        (r"an escaped \\n stays two characters", r"an escaped \n stays two characters"),
        (r"\\\n", "\\\n"),
        (r'he said \""no\""', 'he said "no"'),
        ('he said ""no""', 'he said "no"'),
        ("ends with a backslash \\", "ends with a backslash \\"),
        (r"the |\ key, a \W, a \t and \ü", r"the |\ key, a \W, a \t and \ü"),
        ("real\nline, and CRLF\r\nand CR\r.", "real\nline, and CRLF\r\nand CR\r."),
        ("a \0 byte", "a \0 byte"),
        ("", ""),
        ("x" * 168_000, "x" * 168_000),
        ("very long\\n" * 20_000, "very long\n" * 20_000),
    ],
    ids=[
        "newline",
        "alone",
        "escaped",
        "both",
        "quote",
        "doubled",
        "last",
        "other",
        "real",
        "NUL",
        "none",
        "long",
        "both long",
    ],
)
def test_a_field_is_the_same_text_for_every_reader(read, field, text):
    assert read(f'"2","a title","{field}"\n"1","\\n","next"\n') == [text, "next"]


def test_every_reader_that_reads_titles_makes_the_same_text_of_them(tmp_path):
    path, text = tmp_path / "a.csv", "title+content"
    path.write_text('"2","a\\ntitle","it is good"\n"1","","no title"\n')
    trained = CsvReviews(path, text=text)
    assert (
        trained.contents(range(2))
        == [review.text for review in ReviewFile(path, CLASSES, text=text)]
        == input_fn(path.read_bytes(), "text/csv").read_by(text)
        == list(read_texts(path, text))
        == ["a\ntitle\nit is good", "no title"]
    )


def test_a_text_without_a_title_is_alike_for_a_model_that_reads_titles(tmp_path):
    (tmp_path / "a.csv").write_text("one\ntwo\n")
    assert list(read_texts(tmp_path / "a.csv", "title+content")) == ["one", "two"]
    for body, kind in ((b"one\ntwo", "text/csv"), (b'["one", "two"]', "application/json")):
        assert input_fn(body, kind).read_by("title+content") == ["one", "two"]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_line_ends_blank_lines_and_a_byte_order_mark_are_no_part_of_a_text(read, end, mark):
    rows = ["", '"1","t","one"', "", '"2","t","two"', '"1",t,three']
    assert read(mark + end.join(rows).encode()) == ["one", "two", "three"]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ('"1","t","x"\n"2","t","no end\n\n', "2.*unexpected end of data; expected quotes closed"),
        ('"1","t","a "word" b"\n', "1.*expected quotes closed and inner quotes doubled"),
        ('"1","t","x"\r"2","t","y"\r', "1.*found a CR within the line; line ends must be LF or CRLF"),
        ('"1","t","x","y"\n', "1.*found 4|1: expected .* columns"),
    ],
    ids=["open", "inner", "CR", "columns"],
)
def test_what_is_not_the_layout_is_told_with_its_line(read, request, content, problem):
    if "column" in request.node.callspec.params["read"] and '"y"' in content and "\r" not in content:
        pytest.skip("a named column takes any number of columns")
    with pytest.raises(MISTAKES, match=problem):
        read(content)


def test_a_file_without_a_review_is_refused_or_empty(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("")
    with pytest.raises(TrainerError, match="holds no reviews"):
        CsvReviews(path)
    assert list(ReviewFile(path, CLASSES)) == []
    with pytest.raises(RequestError, match="empty"):
        input_fn(b"", "text/csv")


def test_a_field_without_an_end_is_told_before_it_fills_the_memory(read, monkeypatch):
    monkeypatch.setattr(reviews, "MAX_FIELD", 1000)
    with pytest.raises(MISTAKES, match=r"expected fields of at most 1,000 characters, found more; close its quotes"):
        read('"1","t","' + "word " * 500)


def test_the_hubs_copy_of_the_release_has_its_escapes():
    import datasets

    split = datasets.Dataset.from_dict({"title": ["t"], "content": [r"one\ntwo, \"three\""], "label": [1]})
    assert HubReviews("x", split).contents([0]) == ['one\ntwo, "three"']


def test_json_has_its_own_escapes():
    assert input_fn(r'["one\ntwo", "C:\\new"]', "application/json").texts == ["one\ntwo", r"C:\new"]


def test_what_is_written_with_escapes_is_read_again(read):
    texts = ["a\nb", "\\n", "\\", '"', '\\"\n\\\\', "plain"]
    file = io.StringIO()
    escaped = (text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") for text in texts)
    csv.writer(file, quoting=csv.QUOTE_ALL).writerows(["1", "t", text] for text in escaped)
    assert read(file.getvalue()) == texts
