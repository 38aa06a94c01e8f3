"""`python -m gpsimd_bert.sagemaker deploy` and `transform`, against a mock of AWS."""

import io
import json
import tarfile
from datetime import UTC, datetime

import pytest
from aws_mock import ABSENT, BUCKET, REGION, ROLE, refusal
from botocore.exceptions import ReadTimeoutError
from conftest import in_the_stock_container
from gpsimd_bert.sagemaker import images

pytest_plugins = ["aws_mock"]

IMAGE = f"763104351884.dkr.ecr.{REGION}.amazonaws.com/{images.INFERENCE}"
TAGS = [{"Key": "project", "Value": "gpsimd"}]


@pytest.fixture
def model(tmp_path):
    """A model folder, as far as packing looks at it."""
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        (folder / name).write_text("{}" if name == "config.json" else name)
    return folder


@pytest.fixture
def deploy(model):
    return ["deploy", model, "--name", "shop", "--role", "trainer", "--poll", "0"]


@pytest.fixture
def transform(model, reviews):
    return ["transform", model, reviews / "test.csv", "--name", "batch", "--role", "trainer", "--poll", "0"]


def archive_in_s3(mock, key) -> dict[str, bytes]:
    body = mock.client("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(body)) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar}


def create_model(name: str) -> dict:
    return {
        "ModelName": name,
        "ExecutionRoleArn": ROLE,
        "PrimaryContainer": {
            "Image": IMAGE,
            "ModelDataUrl": f"s3://{BUCKET}/gpsimd/{name}/model.tar.gz",
            "Environment": {
                "SAGEMAKER_PROGRAM": "inference.py",
                "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
                "SAGEMAKER_CONTAINER_LOG_LEVEL": "20",
                "SAGEMAKER_REGION": REGION,
            },
        },
        "Tags": TAGS,
    }


# deploy


def test_deploy_sends_exactly_three_requests_for_a_cpu_endpoint(run, mock, deploy):
    status, output, errors = run(*deploy)
    assert status == 0, errors
    created = [(name, parameters) for name, parameters in mock.requests if name.startswith("sagemaker.Create")]
    assert created == [
        ("sagemaker.CreateModel", create_model("shop")),
        (
            "sagemaker.CreateEndpointConfig",
            {
                "EndpointConfigName": "shop",
                "ProductionVariants": [
                    {
                        "VariantName": "AllTraffic",
                        "ModelName": "shop",
                        "InitialInstanceCount": 1,
                        "InstanceType": "ml.c5.xlarge",
                        "InitialVariantWeight": 1.0,
                    }
                ],
                "Tags": TAGS,
            },
        ),
        ("sagemaker.CreateEndpoint", {"EndpointName": "shop", "EndpointConfigName": "shop", "Tags": TAGS}),
    ]
    assert "endpoint shop: InService" in output
    assert "aws sagemaker delete-endpoint --endpoint-name shop" in errors


def test_the_archive_holds_the_model_at_its_root_and_the_handlers_under_code(run, mock, deploy):
    assert run(*deploy)[0] == 0
    files = archive_in_s3(mock, "gpsimd/shop/model.tar.gz")
    assert sorted(files) == [
        "code/gpsimd_bert/__init__.py",
        "code/gpsimd_bert/reviews.py",
        "code/gpsimd_bert/serve/__init__.py",
        "code/gpsimd_bert/serve/classifier.py",
        "code/gpsimd_bert/serve/decimal.py",
        "code/gpsimd_bert/serve/dtype.py",
        "code/gpsimd_bert/serve/errors.py",
        "code/gpsimd_bert/serve/handlers.py",
        "code/gpsimd_bert/serve/huggingface.py",
        "code/gpsimd_bert/serve/media.py",
        "code/gpsimd_bert/serve/request.py",
        "code/gpsimd_bert/serve/response.py",
        "code/inference.py",
        "code/requirements.txt",
        "config.json",
        "model.safetensors",
        "tokenizer.json",
    ]
    assert b"model_fn" in files["code/inference.py"] and b"def model_fn" in files["code/gpsimd_bert/serve/handlers.py"]
    assert not any(b"import gpsimd_torch" in content for content in files.values())


def test_the_model_of_a_training_job_gets_the_handlers_too(run, mock, deploy, tmp_path):
    old = archive("./config.json", "./model.safetensors", "./tokenizer.json", "./code/inference.py")
    s3 = mock.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="gpsimd/first/output/model.tar.gz", Body=old)
    mock.answer(
        "sagemaker.DescribeTrainingJob",
        {
            "TrainingJobStatus": "Completed",
            "ModelArtifacts": {"S3ModelArtifacts": f"s3://{BUCKET}/gpsimd/first/output/model.tar.gz"},
        },
    )
    deploy[1] = "first"
    status, _, errors = run(*deploy)
    assert status == 0, errors
    files = archive_in_s3(mock, "gpsimd/shop/model.tar.gz")
    assert files["config.json"] == b"old" and b"model_fn" in files["code/inference.py"]


def test_limits_of_the_handlers_travel_in_the_environment(run, mock, deploy):
    assert run(*deploy, "--env", "GPSIMD_SEQ_LEN=64")[0] == 0
    (model,) = mock.sent("sagemaker.CreateModel")
    assert model["PrimaryContainer"]["Environment"]["GPSIMD_SEQ_LEN"] == "64"


def test_an_environment_that_is_none_is_refused_before_anything_is_asked(run, no_aws, deploy):
    status, _, errors = run(*deploy, "--env", "GPSIMD_SEQ_LEN")
    assert status == 2 and "--env: expected NAME=VALUE" in errors


def test_a_dry_run_prints_the_requests_that_deploy_sends_and_asks_nothing(run, no_aws, deploy):
    status, output, errors = run(*deploy, "--dry-run", "--region", REGION)
    assert status == 0, errors
    document = json.loads(output)
    assert [request["call"] for request in document["requests"]] == [
        "CreateModel",
        "CreateEndpointConfig",
        "CreateEndpoint",
    ]
    sent = json.loads(json.dumps(document["requests"][0]["parameters"]).replace("ACCOUNT", "123456789012"))
    assert sent == create_model("shop") | {"ExecutionRoleArn": ROLE}


@pytest.mark.parametrize("call", ["CreateModel", "CreateEndpointConfig", "CreateEndpoint"])
def test_what_was_made_before_a_refusal_is_deleted_again(run, mock, deploy, call):
    mock.refuse(f"sagemaker.{call}", "ResourceLimitExceeded", "The account-level service limit is 0")
    status, _, errors = run(*deploy)
    assert status == 1 and "Service Quotas" in errors and "left behind" not in errors
    sagemaker = mock.client("sagemaker")
    assert sagemaker.list_models()["Models"] == []
    assert sagemaker.list_endpoint_configs()["EndpointConfigs"] == []


def test_an_endpoint_that_fails_shows_the_reason_and_is_deleted(run, mock, deploy):
    mock.answer(
        "sagemaker.DescribeEndpoint",
        ABSENT,
        {"EndpointStatus": "Creating"},
        {"EndpointStatus": "Failed", "FailureReason": "The primary container did not pass the ping health check."},
    )
    status, _, errors = run(*deploy)
    assert status == 1 and "did not pass the ping health check" in errors and "shop: Creating" in errors
    assert mock.client("sagemaker").list_endpoints()["Endpoints"] == []


def test_ctrl_c_leaves_the_endpoint_starting_and_says_how_to_delete_it(run, mock, deploy):
    mock.answer("sagemaker.DescribeEndpoint", ABSENT, {"EndpointStatus": "Creating"}, KeyboardInterrupt())
    status, _, errors = run(*deploy)
    assert status == 130
    assert "goes on starting" in errors and "delete-endpoint --endpoint-name shop" in errors
    assert len(mock.client("sagemaker").list_endpoints()["Endpoints"]) == 1


def endpoints(mock) -> list[str]:
    return [endpoint["EndpointName"] for endpoint in mock.client("sagemaker").list_endpoints()["Endpoints"]]


DELETE_ALL = [
    f"aws sagemaker delete-{kind} --{kind}-name shop --region {REGION}"
    for kind in ("endpoint", "endpoint-config", "model")
]


def test_a_name_that_is_taken_is_told_before_what_an_endpoint_serves_is_replaced(run, mock, deploy, model):
    assert run(*deploy)[0] == 0
    (model / "config.json").write_text("changed")
    status, _, errors = run(*deploy)
    assert status == 1 and "the model shop exists already" in errors and "--name" in errors
    assert archive_in_s3(mock, "gpsimd/shop/model.tar.gz")["config.json"] == b"{}"
    assert endpoints(mock) == ["shop"]


def test_an_endpoint_that_can_no_longer_be_watched_goes_on_and_is_told(run, mock, deploy):
    mock.answer("sagemaker.DescribeEndpoint", ABSENT, {"EndpointStatus": "Creating"}, refusal("ExpiredToken"))
    status, _, errors = run(*deploy)
    assert status == 1 and "sign in again" in errors
    assert "the endpoint shop goes on starting" in errors and "describe-endpoint --endpoint-name shop" in errors
    assert all(command in errors for command in DELETE_ALL)


@pytest.mark.parametrize("interruption", [KeyboardInterrupt(), ReadTimeoutError(endpoint_url="https://aws")])
def test_an_endpoint_of_which_nobody_heard_is_deleted_again(run, mock, deploy, interruption):
    def made():
        mock.client("sagemaker").create_endpoint(EndpointName="shop", EndpointConfigName="shop")
        return interruption

    mock.answer("sagemaker.CreateEndpoint", made)
    status, _, errors = run(*deploy)
    assert status == (130 if isinstance(interruption, KeyboardInterrupt) else 1)
    assert endpoints(mock) == [] and "left behind" not in errors
    assert mock.client("sagemaker").list_models()["Models"] == []


def test_an_endpoint_whose_answer_was_lost_is_waited_for(run, mock, deploy):
    def lost():
        mock.client("sagemaker").create_endpoint(EndpointName="shop", EndpointConfigName="shop")
        return refusal("ValidationException", "Cannot create already existing endpoint 'arn:..'")

    mock.answer("sagemaker.CreateEndpoint", lost)
    status, output, errors = run(*deploy)
    assert status == 0, errors
    assert "InService" in output


def test_an_endpoint_that_somebody_made_meanwhile_is_not_deleted(run, mock, deploy):
    taken = refusal("ValidationException", "Cannot create already existing endpoint 'arn:..'")
    long_ago = {"EndpointStatus": "InService", "CreationTime": datetime(2020, 1, 1, tzinfo=UTC)}
    mock.answer("sagemaker.CreateEndpoint", taken)
    mock.answer("sagemaker.DescribeEndpoint", ABSENT, long_ago)
    status, _, errors = run(*deploy)
    assert status == 1 and "already existing" in errors
    assert mock.sent("sagemaker.DeleteEndpoint") == [] and len(mock.sent("sagemaker.DeleteModel")) == 1


def test_an_endpoint_that_cannot_be_deleted_is_left_with_the_commands_for_it(run, mock, deploy):
    failed = {"EndpointStatus": "Failed", "FailureReason": "out of memory"}
    mock.answer("sagemaker.DescribeEndpoint", ABSENT, failed)
    mock.refuse("sagemaker.DeleteEndpoint", "ValidationException", "Cannot update in-progress endpoint")
    status, _, errors = run(*deploy)
    assert status == 1 and "deleted again" not in errors
    assert "left behind: model shop, endpoint config shop, endpoint shop" in errors and "it is still there" in errors
    assert all(command in errors for command in DELETE_ALL)
    assert mock.sent("sagemaker.DeleteModel") == []


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--instance", "c5.xlarge"], "expected a type of instance such as ml.c5.xlarge"),
        (["--name", "a-"], "the first and the last no hyphen"),
        (["--role", ""], "expected the name of a role"),
        (["--tag", "aws:x=y"], "AWS's own"),
        (["--env", "A=" + "y" * 1025], "at most 1024 characters"),
    ],
)
def test_what_aws_certainly_refuses_is_told_before_anything_is_asked(run, mock, deploy, more, message):
    status, _, errors = run(*deploy, *more)
    assert (status, mock.requests) == (2, []) and message in errors


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("config.json", "expected a model with config.json"),
        ("model.safetensors", "expected a model with config.json"),
        ("tokenizer.json", "expected a tokenizer"),
    ],
)
def test_a_folder_without_a_model_is_refused_before_anything_is_asked(run, mock, deploy, model, missing, message):
    (model / missing).unlink()
    status, _, errors = run(*deploy)
    assert (status, mock.requests) == (2, []) and message in errors


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no/where", "neither a model folder or model.tar.gz here, nor the name of a training job"),
        ("no such folder", "neither a model folder or model.tar.gz here, nor the name of a training job"),
        ("s3://bucket/model", "expected the model.tar.gz"),
    ],
)
def test_a_model_that_is_not_there_is_refused(run, mock, deploy, name, message):
    deploy[1] = name
    status, _, errors = run(*deploy, "--dry-run")
    assert (status, mock.requests) == (2, []) and message in errors


def test_a_name_that_is_no_job_may_have_been_meant_as_a_folder(run, mock, deploy):
    deploy[1] = "chekpoint"
    status, _, errors = run(*deploy)
    assert status == 1 and "chekpoint: neither a model folder or model.tar.gz here nor a training job" in errors


def archive(*names: str, mode: str = "w:gz") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as tar:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = 3
            tar.addfile(member, io.BytesIO(b"old"))
    return buffer.getvalue()


WHOLE = ("config.json", "model.safetensors", "tokenizer.json")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"not an archive", "expected the model.tar.gz of a training job"),
        (archive(*WHOLE)[:-8] + bytes(8), "CRC check failed"),
        (archive(*WHOLE)[:-8], "ended before the end-of-stream"),
        (archive(*WHOLE)[:40] + b"\xff" * 40 + archive(*WHOLE)[80:], "expected the model.tar.gz of a training job"),
        (archive(*WHOLE, mode="w:xz")[:60] + b"\xff" * 60, "expected the model.tar.gz of a training job"),
        (archive("model.safetensors"), "found 0 files config.json"),
        (archive("config.json", "tokenizer.json"), "expected a model with config.json and model.safetensors"),
        (archive("config.json", "model.safetensors"), "expected a tokenizer"),
    ],
)
def test_an_archive_that_is_no_model_or_damaged_is_refused(run, mock, deploy, tmp_path, content, message):
    (tmp_path / "x.tar.gz").write_bytes(content)
    deploy[1] = tmp_path / "x.tar.gz"
    status, _, errors = run(*deploy, "--dry-run")
    assert (status, mock.requests) == (2, []) and message in errors and "x.tar.gz" in errors


def test_a_damaged_archive_in_s3_is_no_mistake_in_the_arguments(run, mock, deploy):
    s3 = mock.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="theirs/model.tar.gz", Body=archive(*WHOLE)[:-8])
    deploy[1] = f"s3://{BUCKET}/theirs/model.tar.gz"
    status, _, errors = run(*deploy)
    assert status == 1 and f"s3://{BUCKET}/theirs/model.tar.gz: expected the model.tar.gz" in errors


def test_a_job_without_a_model_is_refused(run, mock, deploy):
    mock.answer("sagemaker.DescribeTrainingJob", {"TrainingJobStatus": "InProgress"})
    deploy[1] = "first"
    status, _, errors = run(*deploy)
    assert status == 1 and "expected a completed one with a model, found InProgress" in errors


# transform


def test_transform_sends_exactly_the_request_of_a_batch_job(run, mock, transform):
    mock.answer("sagemaker.DescribeTransformJob", ABSENT, {"TransformJobStatus": "Completed"})
    status, _, errors = run(*transform)
    assert status == 0, errors
    assert mock.sent("sagemaker.CreateModel") == [create_model("batch")]
    base = f"s3://{BUCKET}/gpsimd/batch"
    assert mock.sent("sagemaker.CreateTransformJob") == [
        {
            "TransformJobName": "batch",
            "ModelName": "batch",
            "BatchStrategy": "SingleRecord",
            "TransformInput": {
                "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"{base}/input/reviews.jsonl"}},
                "ContentType": "application/json",
                "SplitType": "Line",
            },
            "TransformOutput": {
                "S3OutputPath": f"{base}/output",
                "Accept": "application/jsonlines",
                "AssembleWith": "Line",
            },
            "TransformResources": {"InstanceType": "ml.c5.xlarge", "InstanceCount": 1},
            "Tags": TAGS,
        }
    ]
    assert mock.client("sagemaker").list_models()["Models"] == []


def test_reviews_travel_as_lines_that_the_handlers_take(run, mock, transform):
    from gpsimd_bert.serve import handlers

    mock.answer("sagemaker.DescribeTransformJob", ABSENT, {"TransformJobStatus": "Completed"})
    assert run(*transform)[0] == 0
    body = mock.client("s3").get_object(Bucket=BUCKET, Key="gpsimd/batch/input/reviews.jsonl")["Body"].read()
    (line,) = body.splitlines()
    assert handlers.input_fn(line, "application/json").texts == ["good, in\ntwo lines", 'it says "no"']


@pytest.mark.parametrize("place", ["folder", "archive", "s3"])
def test_a_model_that_reads_titles_is_sent_them(run, mock, transform, tmp_path, place):
    mock.answer("sagemaker.DescribeTransformJob", ABSENT, {"TransformJobStatus": "Completed"})
    transform[2] = tmp_path / "in.csv"
    transform[2].write_text('"2","a title","good"\n"1","","bad"\n')
    (transform[1] / "config.json").write_text('{"review_text": "title+content"}')
    if place != "folder":
        packed = tmp_path / "model.tar.gz"
        with tarfile.open(packed, "w:gz") as tar:
            tar.add(transform[1], ".")
        transform[1] = packed
    if place == "s3":
        mock.client("s3").create_bucket(Bucket=BUCKET)
        mock.client("s3").put_object(Bucket=BUCKET, Key="theirs/model.tar.gz", Body=packed.read_bytes())
        transform[1] = f"s3://{BUCKET}/theirs/model.tar.gz"
    status, _, errors = run(*transform)
    assert status == 0, errors
    body = mock.client("s3").get_object(Bucket=BUCKET, Key="gpsimd/batch/input/reviews.jsonl")["Body"].read()
    assert [text for line in body.splitlines() for text in json.loads(line)["texts"]] == ["a title\ngood", "bad"]


@pytest.mark.parametrize("config", ["{", "[]", "\udcff"])
def test_a_damaged_config_is_told_before_a_batch_job(run, mock, transform, config):
    (transform[1] / "config.json").write_text(config, errors="surrogateescape")
    status, _, errors = run(*transform)
    assert (status, mock.requests) == (2, []) and "expected an object of JSON in config.json" in errors


def test_what_transform_uploads_runs_in_the_container_and_predicts_as_here(run, mock, transform, served, tmp_path):
    from gpsimd_bert.serve.classifier import Classifier

    mock.answer("sagemaker.DescribeTransformJob", ABSENT, {"TransformJobStatus": "Completed"})
    transform[1] = served
    status, _, errors = run(*transform)
    assert status == 0, errors
    for name, content in archive_in_s3(mock, "gpsimd/batch/model.tar.gz").items():
        file = tmp_path / "opt" / "ml" / "model" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    request = mock.sent("sagemaker.CreateTransformJob")[0]
    key = request["TransformInput"]["DataSource"]["S3DataSource"]["S3Uri"].removeprefix(f"s3://{BUCKET}/")
    lines = mock.client("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read().decode()
    model = tmp_path / "opt" / "ml" / "model"
    answer = in_the_stock_container(model, model / "code", lines, request["TransformOutput"]["Accept"])
    classifier = Classifier.load(served, seq_len=16)
    tokens = classifier.encode(["good, in\ntwo lines", 'it says "no"'])
    assert [json.loads(line) for line in answer.splitlines()] == classifier.named(classifier.probabilities(tokens))


def test_the_predictions_can_be_fetched(run, mock, transform, tmp_path):
    mock.answer("sagemaker.DescribeTransformJob", ABSENT, {"TransformJobStatus": "Completed"})
    s3 = mock.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="gpsimd/batch/output/reviews.jsonl.out", Body=b'{"label": "positive"}\n')
    assert run(*transform, "--predictions", tmp_path / "out.jsonl")[0] == 0
    assert (tmp_path / "out.jsonl").read_text() == '{"label": "positive"}\n'


def test_predictions_that_cannot_be_written_are_told_before_the_job(run, mock, transform):
    status, _, errors = run(*transform, "--predictions", "/proc/predictions.jsonl")
    assert (status, mock.requests) == (2, []) and "cannot be written" in errors


def test_predictions_that_cannot_be_written_after_the_job_are_told_with_their_place(
    run, mock, transform, tmp_path, monkeypatch
):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("gpsimd_bert.sagemaker.s3.download", full)
    mock.answer("sagemaker.DescribeTransformJob", ABSENT, {"TransformJobStatus": "Completed"})
    status, _, errors = run(*transform, "--predictions", tmp_path / "out.jsonl")
    assert status == 1 and "No space left on device" in errors
    assert f"aws s3 cp s3://{BUCKET}/gpsimd/batch/output/reviews.jsonl.out" in errors


def test_no_line_is_larger_than_sagemaker_takes(run, mock, transform, tmp_path):
    mock.answer("sagemaker.DescribeTransformJob", ABSENT, {"TransformJobStatus": "Completed"})
    texts = ["\U0001f600" * 100_000, *["short"] * 40, *["\u6a21" * 100_000] * 40]
    transform[2] = tmp_path / "x.csv"
    transform[2].write_text("".join(f'"{text}"\n' for text in texts), encoding="utf-8")
    assert run(*transform)[0] == 0
    body = mock.client("s3").get_object(Bucket=BUCKET, Key="gpsimd/batch/input/reviews.jsonl")["Body"].read()
    lines = body.removesuffix(b"\n").split(b"\n")
    assert max(map(len, lines)) < 6_000_000
    assert [text for line in lines for text in json.loads(line)["texts"]] == texts
    assert len(json.loads(lines[0])["texts"]) == 32


def test_the_predictions_never_replace_the_reviews(run, no_aws, transform, reviews):
    before = (reviews / "test.csv").read_bytes()
    status, _, errors = run(*transform, "--predictions", reviews / "." / "test.csv")
    assert status == 2 and "expected another file than INPUT, found the same" in errors
    assert (reviews / "test.csv").read_bytes() == before


def test_a_dry_run_of_a_batch_job_asks_nothing(run, no_aws, transform):
    status, output, errors = run(*transform, "--dry-run", "--region", REGION)
    assert status == 0, errors
    document = json.loads(output)
    assert [request["call"] for request in document["requests"]] == ["CreateModel", "CreateTransformJob"]
    assert document["uploads"][1]["reviews"] == 2


def test_a_batch_job_that_fails_shows_the_reason(run, mock, transform):
    mock.answer(
        "sagemaker.DescribeTransformJob", ABSENT, {"TransformJobStatus": "Failed", "FailureReason": "See job logs"}
    )
    status, _, errors = run(*transform)
    assert status == 1 and "ended as Failed: See job logs" in errors


def test_a_batch_job_that_is_refused_leaves_no_model(run, mock, transform):
    mock.refuse("sagemaker.CreateTransformJob", "ResourceLimitExceeded")
    assert run(*transform)[0] == 1
    assert mock.client("sagemaker").list_models()["Models"] == []


def test_ctrl_c_leaves_the_batch_job_and_its_model(run, mock, transform):
    mock.answer("sagemaker.DescribeTransformJob", ABSENT, {"TransformJobStatus": "InProgress"}, KeyboardInterrupt())
    status, _, errors = run(*transform)
    assert status == 130 and "goes on without you" in errors and "stop-transform-job" in errors
    assert len(mock.client("sagemaker").list_models()["Models"]) == 1


LEFT = [
    f"aws sagemaker {command} batch --region {REGION}"
    for command in (
        "describe-transform-job --transform-job-name",
        "stop-transform-job --transform-job-name",
        "delete-model --model-name",
    )
]


@pytest.mark.parametrize("more", [[], ["--no-wait"]])
def test_who_does_not_wait_for_the_job_is_told_what_it_leaves(run, mock, transform, more):
    mock.answer("sagemaker.DescribeTransformJob", ABSENT, refusal("ExpiredToken"))
    status, _, errors = run(*transform, *more)
    assert status == (0 if more else 1)
    assert "the job batch goes on without you" in errors and all(command in errors for command in LEFT)
    assert len(mock.client("sagemaker").list_models()["Models"]) == 1


@pytest.mark.parametrize("interruption", [KeyboardInterrupt(), ReadTimeoutError(endpoint_url="https://aws")])
def test_a_batch_job_of_which_nobody_heard_keeps_its_model_and_is_found_again(run, mock, transform, interruption):
    mock.answer("sagemaker.CreateTransformJob", interruption)
    status, _, errors = run(*transform)
    assert status == (130 if isinstance(interruption, KeyboardInterrupt) else 1)
    assert "the job batch may or may not have been started" in errors and all(command in errors for command in LEFT)
    assert len(mock.client("sagemaker").list_models()["Models"]) == 1


def test_a_batch_job_whose_name_is_taken_is_told_before_its_files_are_replaced(run, mock, transform):
    mock.answer("sagemaker.DescribeTransformJob", {"TransformJobStatus": "Completed"})
    status, _, errors = run(*transform)
    assert status == 1 and "the transform job batch exists already" in errors and mock.sent("s3.PutObject") == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "found no row"),
        (b'"1","t"\n', "found 2 columns"),
        (b'"1","t","a"\n"1","t","\xff"\n', "x.csv:2: byte 10 of the line is not UTF-8"),
        (b'"1","t","a"\n"1","t","open\n\n', "x.csv:2: unexpected end of data; expected quotes closed"),
        (b'"1","t","a"\n"1","t","' + b"a" * (11 << 20) + b'"\n', "x.csv:2: expected fields of at most 10,485,760 char"),
    ],
)
def test_a_file_of_other_things_is_refused(run, mock, transform, tmp_path, content, message):
    transform[2] = tmp_path / "x.csv"
    transform[2].write_bytes(content)
    status, _, errors = run(*transform)
    assert (status, mock.requests) == (2, []) and message in errors


def test_lines_in_s3_are_taken_as_they_are(run, mock, transform):
    mock.answer("sagemaker.DescribeTransformJob", ABSENT, {"TransformJobStatus": "Completed"})
    transform[2] = "s3://theirs/lines/"
    assert run(*transform)[0] == 0
    source = mock.sent("sagemaker.CreateTransformJob")[0]["TransformInput"]["DataSource"]["S3DataSource"]
    assert source == {"S3DataType": "S3Prefix", "S3Uri": "s3://theirs/lines/"}
