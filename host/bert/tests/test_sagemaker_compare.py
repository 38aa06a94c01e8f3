"""`python -m gpsimd_bert.sagemaker compare`: what runs cost."""

import json
import re
import xml.etree.ElementTree as ElementTree

import pytest
from gpsimd_bert.sagemaker.prices import PUBLISHED
from gpsimd_bert.train.report import Row, write_json

pytest_plugins = ["aws_mock"]


def job(
    instance="ml.trn1.32xlarge", count=1, billable=6000, throughput=6.5, accuracy=0.98, status="Completed", **hyper
):
    """The answer of DescribeTrainingJob for a finished job."""
    metrics = {"train:throughput": throughput, "validation:accuracy": accuracy}
    return {
        "TrainingJobStatus": status,
        "ResourceConfig": {"InstanceType": instance, "InstanceCount": count},
        "BillableTimeInSeconds": billable,
        "HyperParameters": {"ops": '"rust"', "model": '"bert-base-uncased"', **hyper},
        "FinalMetricDataList": [
            {"MetricName": name, "Value": value} for name, value in metrics.items() if value is not None
        ],
    }


@pytest.fixture
def local(tmp_path, no_aws):
    """A file of the trainer's `--json` with a stock and a Rust run."""
    rows = [Row(ops, 40, 24.725) for ops in ("stock", "rust")]
    for row, billable in zip(rows, (100.0, 90.0), strict=True):
        row.losses, row.billable_s, row.validation_accuracy = [0.7] * 40, billable, 0.9
        row._times = [(0, 0.0), (20, 10.0), (40, 30.0)]
    path = tmp_path / "out.json"
    write_json(path, rows, {"model": None, "device": "cpu", "batch_size": 16, "price_per_hour": 24.725})
    return path


def rows_of(output: str) -> list[dict]:
    return json.loads(output)


def test_the_published_rows_are_those_of_the_post(run, local):
    _status, output, _ = run("compare", local, "--json")
    published = [row for row in rows_of(output) if row["published"]]
    assert [(row["instance"], row["published_cost_usd"]) for row in published] == [
        ("ml.trn1.32xlarge", 41.47),
        ("ml.p4d.24xlarge", 68.6),
    ]
    assert [round(row["training_cost_usd"], 2) for row in published] == [41.43, 68.61]
    _status, output, _ = run("compare", local)
    assert "41.43 (41.47 in the post)" in output and "68.61 (68.60 in the post)" in output
    for row in PUBLISHED:
        # The post rounds: 41.47 where its own numbers make 41.43.
        assert row["billable_s"] * row["price_per_hour"] / 3600 == pytest.approx(row["training_cost_usd"], rel=2e-3)


def test_the_cost_of_a_job_is_its_billable_time_times_price_times_instances(run, mock):
    mock.answer("sagemaker.DescribeTrainingJob", job(count=2, billable=3600))
    status, output, _ = run("compare", "first", "--json")
    row = rows_of(output)[0]
    assert status == 0
    assert (row["instances"], row["price_per_hour"], row["training_cost_usd"]) == (2, 49.45, 49.45)
    assert (row["throughput_it_s"], row["validation_accuracy"], row["ops"]) == (6.5, 0.98, "rust")


def test_the_most_accurate_of_several_jobs_on_the_same_machines_is_the_row(run, mock):
    tries = [
        job(accuracy=accuracy, billable=billable) for accuracy, billable in ((0.97, 5800), (0.98, 6100), (0.98, 5900))
    ]
    mock.answer("sagemaker.DescribeTrainingJob", *tries)
    _, output, _ = run("compare", "a", "b", "c", "--json", "--no-published")
    (row,) = rows_of(output)
    assert (row["source"], row["billable_s"], row["runs"], row["best"]) == ("c", 5900, 3, True)


@pytest.mark.parametrize(
    "differs",
    [
        *[{"steps": "80"}, {"epochs": "2"}, {"model": '"bert-large-uncased"'}, {"lr": "1e-4"}, {"batch-size": "32"}],
        *[{"bf16": "true"}, {"accumulate": "2"}, {"clip": "1.0"}, {"warmup": "4"}, {"weight-decay": "0.1"}],
        *[{"patience": "2"}, {"validate-every": "10"}, {"text": '"title+content"'}, {"dropout": "0.0"}],
    ],
    ids=lambda change: next(iter(change)),
)
def test_runs_of_other_settings_are_rows_of_their_own_and_none_is_called_the_best(run, mock, differs):
    mock.answer("sagemaker.DescribeTrainingJob", job(steps="40", accuracy=0.9), job(**({"steps": "40"} | differs)))
    _, output, errors = run("compare", "a", "b", "--json", "--no-published")
    assert [(row["runs"], row["best"]) for row in rows_of(output)] == [(1, False), (1, False)]
    assert re.search(rf"the runs differ in {next(iter(differs))} \(.*\): none of them is called the best", errors)


def test_a_value_is_the_same_however_it_is_written(run, mock):
    one = {"bf16": '"True"', "clip": "1", "warmup": "0.10", "weight_decay": "0", "text": '"content"', "accumulate": "1"}
    other = {"bf16": "true", "clip": "1.0", "weight-decay": "0.0"}
    mock.answer("sagemaker.DescribeTrainingJob", job(**one), job(**other))
    _, output, errors = run("compare", "a", "b", "--json", "--no-published")
    assert "differ" not in errors and [row["runs"] for row in rows_of(output)] == [2]


def test_rust_ops_that_are_not_the_devices_default_are_named_and_compared_with_the_others(run, mock):
    some, device = '"gelu,softmax"', {"device": '"neuron"'}
    default = {"rust-ops": '"gelu,softmax,dropout,norm"'} | device
    jobs = [job(accuracy=0.97, **device), job(accuracy=0.98, **default), job(**({"rust-ops": some} | device))]
    mock.answer("sagemaker.DescribeTrainingJob", *jobs)
    _, output, errors = run("compare", "a", "b", "c", "--json", "--no-published")
    assert [(row["source"], row["ops"]) for row in rows_of(output)] == [("b", "rust"), ("c", "rust (gelu,softmax)")]
    assert "differ" not in errors


def test_of_a_local_file_only_the_rust_run_has_rust_ops(run, local):
    document = json.loads(local.read_text())
    document["settings"] |= {"rust_ops": "gelu", "bf16": False, "text": "content"}
    local.write_text(json.dumps(document))
    _, output, _ = run("compare", local, "--json", "--no-published")
    assert [row["ops"] for row in rows_of(output)] == ["stock", "rust (gelu)"]


def test_models_of_the_same_name_in_two_folders_are_two_models(run, local, tmp_path):
    paths = []
    for name in ("a", "b"):
        document = json.loads(local.read_text())
        document["settings"]["model"] = f"{name}/checkpoint"
        paths.append(tmp_path / f"{name}.json")
        paths[-1].write_text(json.dumps(document))
    _, output, errors = run("compare", *paths, "--json", "--no-published")
    assert [row["best"] for row in rows_of(output)] == [False] * 4
    assert "differ in model (a/checkpoint, b/checkpoint)" in errors


def test_the_best_of_equal_settings_is_the_most_accurate_on_whatever_machine(run, mock):
    small = job("ml.trn1.2xlarge", accuracy=0.99, throughput=0.5)
    mock.answer("sagemaker.DescribeTrainingJob", job(accuracy=0.98), small)
    _, output, errors = run("compare", "a", "b", "--json", "--no-published")
    assert [row["best"] for row in rows_of(output)] == [False, True]
    assert "best at equal settings: b, rust ops (validation accuracy 0.990)" in errors


def test_seeds_are_tries_of_the_same_thing(run, mock):
    mock.answer("sagemaker.DescribeTrainingJob", job(seed="1", accuracy=0.9), job(seed="2"))
    _, output, errors = run("compare", "a", "b", "--json", "--no-published")
    assert [(row["source"], row["runs"]) for row in rows_of(output)] == [("b", 2)]
    assert "the runs differ in seed (1, 2): that of a row is its best run's" in errors


@pytest.mark.parametrize("kind", ["loss", "weight"])
def test_a_run_that_is_not_a_number_is_marked_and_never_the_best(run, local, kind):
    document = json.loads(local.read_text())
    bad = document["rows"][1] | {"stopped": True, "validation_accuracy": None, "failed": "a weight is not a number"}
    if kind == "loss":
        bad |= {"losses": [0.7, None], "not_a_number_at_step": 2, "failed": "the loss of step 2 is nan"}
    document["rows"][1] = bad
    local.write_text(json.dumps(document))
    _, output, errors = run("compare", local)
    assert re.search(r"rust .* not a number", output)
    assert f"rust ops: not a number: {'loss of step 2' if kind == 'loss' else 'a weight is not a number'}" in errors
    _, output, _ = run("compare", local, "--json", "--no-published")
    assert [(row["ops"], row["best"]) for row in rows_of(output)] == [("stock", True), ("rust", False)]


def test_a_job_whose_metrics_are_not_numbers_is_marked(run, mock):
    mock.answer("sagemaker.DescribeTrainingJob", job(accuracy=float("nan")), job(accuracy=0.5))
    _, output, errors = run("compare", "a", "b", "--json", "--no-published")
    (row,) = rows_of(output)
    assert (row["source"], row["validation_accuracy"]) == ("b", 0.5)
    assert "a, rust ops: not a number: validation:accuracy" in errors


@pytest.mark.parametrize(
    "other",
    [{"instance": "ml.trn1.2xlarge"}, {"count": 2}, {"ops": '"stock"'}],
    ids=["instance", "count", "ops"],
)
def test_jobs_on_other_machines_with_other_ops_are_rows_of_their_own(run, mock, other):
    mock.answer("sagemaker.DescribeTrainingJob", job(), job(**other))
    _, output, _ = run("compare", "a", "b", "--json", "--no-published")
    assert [row["runs"] for row in rows_of(output)] == [1, 1]


def test_without_a_price_the_fastest_is_best_and_the_table_says_how_to_name_one(run, mock):
    small = "ml.trn1.2xlarge"
    mock.answer("sagemaker.DescribeTrainingJob", job(small, throughput=1.0), job(small, throughput=2.0))
    _, output, errors = run("compare", "a", "b", "--json", "--no-published")
    assert rows_of(output)[0]["source"] == "b" and rows_of(output)[0]["training_cost_usd"] is None
    assert "--price ml.trn1.2xlarge=X" in errors


def test_a_price_can_be_named(run, mock):
    mock.answer("sagemaker.DescribeTrainingJob", job("ml.trn1.2xlarge", billable=1800))
    _, output, _ = run("compare", "a", "--price", "ml.trn1.2xlarge=2", "--json", "--no-published")
    assert rows_of(output)[0]["training_cost_usd"] == 1.0


@pytest.mark.parametrize("price", ["ml.trn1.2xlarge", "x=-1", "x=many", "=1", "x=nan", "x=inf"])
def test_a_price_that_is_none_is_refused(run, local, price):
    status, _, errors = run("compare", local, "--price", price)
    assert status == 2 and "expected INSTANCE=DOLLARS" in errors


def test_a_local_file_needs_no_account_and_gives_a_row_for_each_run(run, local):
    status, output, _ = run("compare", local)
    assert status == 0
    lines = output.splitlines()
    assert re.split(r"  +", lines[2]) == [
        "6-layer BERT",
        "stock",
        "local, cpu",
        "-",
        "1.00",
        "0.900",
        "100",
        "-",
        "1",
    ]
    assert lines[4].startswith("BERT base classification (published)")
    assert len(set(map(len, lines[:2]))) == 1


def test_markdown_is_a_table_with_as_many_cells_in_every_row(run, local):
    _, output, _ = run("compare", local, "--markdown")
    lines = output.splitlines()
    assert len(lines) == 6
    assert {line.count("|") for line in lines} == {10}
    assert lines[0].startswith("| model | ops | instance | price $/h | throughput it/s | validation accuracy |")


def test_runs_with_other_settings_are_told(run, mock):
    mock.answer("sagemaker.DescribeTrainingJob", job(**{"batch-size": "16"}), job(**{"batch-size": "32"}))
    _, _, errors = run("compare", "a", "b")
    assert "the runs differ in batch-size (16, 32)" in errors


def test_names_with_underscores_and_defaults_are_the_same_settings(run, mock):
    mock.answer("sagemaker.DescribeTrainingJob", job(batch_size="16"), job())
    _, _, errors = run("compare", "a", "b")
    assert "differ" not in errors
    mock.answer("sagemaker.DescribeTrainingJob", job(batch_size="8"), job())
    _, _, errors = run("compare", "a", "b")
    assert "the runs differ in batch-size (16, 8)" in errors


def test_a_job_and_a_file_with_the_same_settings_do_not_differ(run, mock, local):
    document = json.loads(local.read_text())
    document["settings"] |= {
        "model": "bert-base-uncased",
        "data": None,
        "channels": {"train": "s3://a/train", "validation": None},
    }
    local.write_text(json.dumps(document))
    channels = [{"ChannelName": "train", "DataSource": {"S3DataSource": {"S3Uri": "s3://a/train"}}}]
    mock.answer("sagemaker.DescribeTrainingJob", job(steps="40") | {"InputDataConfig": channels})
    document["settings"]["steps"] = 40
    local.write_text(json.dumps(document))
    _, _, errors = run("compare", "a", local)
    assert "differ" not in errors


def test_jobs_with_other_reviews_are_told(run, mock):
    def on(uri):
        return {"InputDataConfig": [{"ChannelName": "train", "DataSource": {"S3DataSource": {"S3Uri": uri}}}]}

    mock.answer("sagemaker.DescribeTrainingJob", job() | on("s3://a/x"), job() | on("s3://b/x"))
    _, _, errors = run("compare", "a", "b")
    assert "the runs differ in data (s3://a/x, s3://b/x)" in errors


def test_a_run_that_is_named_twice_counts_once(run, local, tmp_path):
    _, output, errors = run("compare", local, tmp_path / "." / "out.json", "--json", "--no-published")
    assert [row["runs"] for row in rows_of(output)] == [1, 1]
    assert "is named twice, and counted once" in errors


@pytest.mark.parametrize("resources", [{}, {"ResourceConfig": {"InstanceGroups": []}}], ids=["none", "groups"])
def test_a_job_without_one_type_of_instance_is_refused(run, mock, resources):
    description = job()
    del description["ResourceConfig"]
    mock.answer("sagemaker.DescribeTrainingJob", description | resources)
    status, _, errors = run("compare", "a")
    assert status == 1 and "the job a: expected one type of instance" in errors


def test_a_price_for_another_instance_is_told(run, mock):
    mock.answer("sagemaker.DescribeTrainingJob", job())
    _, _, errors = run("compare", "a", "--price", "ml.trn1.32xlage=3")
    assert "--price ml.trn1.32xlage: none of the jobs was on such an instance" in errors


@pytest.mark.parametrize("name", ["/tmp/nothing", "nothing.JSON", "a b"])
def test_what_is_neither_a_job_nor_a_file_is_refused(run, no_aws, name):
    status, _, errors = run("compare", name)
    assert status == 2 and "expected the name of a training job, or a file that ends in .json, found" in errors


def test_a_local_run_carries_no_price_of_an_instance(run, local):
    status, output, errors = run("compare", local, "--json")
    assert status == 0 and "price" not in errors
    assert json.loads(local.read_text())["settings"]["price_per_hour"] == 24.725
    assert [(row["price_per_hour"], row["training_cost_usd"]) for row in rows_of(output)[:2]] == [(None, None)] * 2


@pytest.mark.parametrize(
    ("key", "value"),
    [("billable_s", True), ("throughput_it_s", float("nan")), ("ops", 3)],
)
def test_a_file_with_values_of_another_kind_is_refused(run, local, key, value):
    document = json.loads(local.read_text())
    document["rows"][0][key] = value
    local.write_text(json.dumps(document))
    status, _, errors = run("compare", local, "--json")
    assert status == 2 and f"{key}: expected a" in errors


def test_a_job_without_metrics_is_told(run, mock):
    mock.answer("sagemaker.DescribeTrainingJob", job(accuracy=None))
    _, _, errors = run("compare", "quiet")
    assert "no final metrics were found for quiet" in errors


@pytest.mark.parametrize("status", ["InProgress", "Failed", "Stopped"])
def test_a_job_that_has_not_completed_is_refused(run, mock, status):
    mock.answer("sagemaker.DescribeTrainingJob", job(status=status))
    code, _, errors = run("compare", "a")
    assert code == 1 and f"expected a completed one, found {status}" in errors


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", "[" * 200_000, '{"rows": [], "settings": {}}', '{"rows": [1], "settings": {}}']
)
def test_a_file_that_is_not_the_trainers_is_refused(run, no_aws, tmp_path, content):
    (tmp_path / "x.json").write_text(content)
    status, _, errors = run("compare", "x.json")
    assert status == 2 and "x.json: expected" in errors


def test_a_file_that_does_not_exist_is_told(run, no_aws):
    status, _, errors = run("compare", "nowhere.json")
    assert status == 2 and "nowhere.json: No such file" in errors


def test_the_chart_has_titles_units_and_every_value(run, local, tmp_path):
    status, _, errors = run("compare", local, "--chart", tmp_path / "out.svg")
    assert status == 0, errors
    texts = {element.text for element in ElementTree.parse(tmp_path / "out.svg").iter() if element.text}
    assert {"throughput", "steps per second", "billable time", "seconds", "US dollars", "published by AWS"} <= texts
    assert {"6.64", "5.44", "6,033", "41.43 (41.47 in the post)", "68.61 (68.60 in the post)", "0.984", "1.00"} <= texts


def test_the_chart_is_the_same_twice_and_can_be_a_png(run, local, tmp_path):
    for name in ("a.svg", "b.svg", "c.png"):
        assert run("compare", local, "--chart", tmp_path / name)[0] == 0
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")
    assert not list(tmp_path.glob(".*partial"))


@pytest.mark.parametrize("model", ["a$^$b", "模型"])
def test_a_chart_can_have_any_name_in_it(run, local, tmp_path, model):
    document = json.loads(local.read_text())
    document["settings"]["model"] = model
    local.write_text(json.dumps(document))
    status, _, errors = run("compare", local, "--chart", tmp_path / "out.svg")
    assert status == 0, errors
    assert "Warning" not in errors
    assert model in (tmp_path / "out.svg").read_text()


def test_a_name_of_two_lines_stays_in_its_row(run, local):
    document = json.loads(local.read_text())
    document["settings"]["model"] = "two\nlines"
    local.write_text(json.dumps(document))
    _, output, _ = run("compare", local, "--markdown")
    assert {line.count("|") for line in output.splitlines()} == {10}


def test_another_kind_of_picture_is_refused(run, local):
    status, _, errors = run("compare", local, "--chart", "x.gif")
    assert status == 2 and "ends in .png or .svg" in errors
