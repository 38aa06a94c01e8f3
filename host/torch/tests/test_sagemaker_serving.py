"""`python -m gpsimd_torch.sagemaker deploy` and `transform`, against a local double of AWS."""

import io
import json
import tarfile

import pytest
from conftest import in_the_stock_container
from gpsimd_torch.sagemaker import images
from sagemaker_double import BUCKET, REGION, ROLE

pytest_plugins = ["sagemaker_double"]

IMAGE = f"763104351884.dkr.ecr.{REGION}.amazonaws.com/{images.INFERENCE}"
TAGS = [{"Key": "project", "Value": "gpsimd"}]


@pytest.fixture
def model(tmp_path):
    """A model folder, as far as packing looks at it."""
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        (folder / name).write_text(name)
    return folder


@pytest.fixture
def deploy(model):
    return ["deploy", model, "--name", "shop", "--role", "trainer", "--poll", "0"]


@pytest.fixture
def transform(model, reviews):
    return ["transform", model, reviews / "test.csv", "--name", "batch", "--role", "trainer", "--poll", "0"]


def archive_in_s3(double, key) -> dict[str, bytes]:
    body = double.client("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read()
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


def test_deploy_sends_exactly_three_requests_for_a_cpu_endpoint(run, double, deploy):
    status, output, errors = run(*deploy)
    assert status == 0, errors
    created = [(name, parameters) for name, parameters in double.requests if name.startswith("sagemaker.Create")]
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


def test_the_archive_holds_the_model_at_its_root_and_the_handlers_under_code(run, double, deploy):
    assert run(*deploy)[0] == 0
    files = archive_in_s3(double, "gpsimd/shop/model.tar.gz")
    assert sorted(files) == [
        "code/inference.py",
        "code/requirements.txt",
        "config.json",
        "model.safetensors",
        "tokenizer.json",
    ]
    assert b"def model_fn" in files["code/inference.py"] and b"gpsimd_torch._native" not in files["code/inference.py"]


def test_the_model_of_a_training_job_gets_the_handlers_too(run, double, deploy, tmp_path):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name in ("./config.json", "./model.safetensors", "./code/inference.py"):
            member = tarfile.TarInfo(name)
            member.size = 3
            tar.addfile(member, io.BytesIO(b"old"))
    s3 = double.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="gpsimd/first/output/model.tar.gz", Body=buffer.getvalue())
    double.answer(
        "sagemaker.DescribeTrainingJob",
        {
            "TrainingJobStatus": "Completed",
            "ModelArtifacts": {"S3ModelArtifacts": f"s3://{BUCKET}/gpsimd/first/output/model.tar.gz"},
        },
    )
    deploy[1] = "first"
    status, _, errors = run(*deploy)
    assert status == 0, errors
    files = archive_in_s3(double, "gpsimd/shop/model.tar.gz")
    assert files["config.json"] == b"old" and b"def model_fn" in files["code/inference.py"]


def test_limits_of_the_handlers_travel_in_the_environment(run, double, deploy):
    assert run(*deploy, "--env", "GPSIMD_SEQ_LEN=64")[0] == 0
    (model,) = double.sent("sagemaker.CreateModel")
    assert model["PrimaryContainer"]["Environment"]["GPSIMD_SEQ_LEN"] == "64"


def test_an_environment_that_is_none_is_refused_before_anything_is_asked(run, no_aws, deploy):
    status, _, errors = run(*deploy, "--env", "GPSIMD_SEQ_LEN")
    assert status == 2 and "--env GPSIMD_SEQ_LEN: expected NAME=VALUE" in errors


def test_a_dry_run_prints_the_requests_that_deploy_sends_and_asks_nothing(run, no_aws, deploy):
    status, output, errors = run(*deploy, "--dry-run", "--region", REGION)
    assert status == 0, errors
    document = json.loads(output)
    assert [request["call"] for request in document["requests"]] == [
        "create_model",
        "create_endpoint_config",
        "create_endpoint",
    ]
    sent = json.loads(json.dumps(document["requests"][0]["parameters"]).replace("ACCOUNT", "123456789012"))
    assert sent == create_model("shop") | {"ExecutionRoleArn": ROLE}


@pytest.mark.parametrize("call", ["CreateModel", "CreateEndpointConfig", "CreateEndpoint"])
def test_what_was_made_before_a_refusal_is_deleted_again(run, double, deploy, call):
    double.refuse(f"sagemaker.{call}", "ResourceLimitExceeded", "The account-level service limit is 0")
    status, _, errors = run(*deploy)
    assert status == 1 and "Service Quotas" in errors and "left behind" not in errors
    sagemaker = double.client("sagemaker")
    assert sagemaker.list_models()["Models"] == []
    assert sagemaker.list_endpoint_configs()["EndpointConfigs"] == []


def test_an_endpoint_that_fails_shows_the_reason_and_is_deleted(run, double, deploy):
    double.answer(
        "sagemaker.DescribeEndpoint",
        {"EndpointStatus": "Creating"},
        {"EndpointStatus": "Failed", "FailureReason": "The primary container did not pass the ping health check."},
    )
    status, _, errors = run(*deploy)
    assert status == 1 and "did not pass the ping health check" in errors and "shop: Creating" in errors
    assert double.client("sagemaker").list_endpoints()["Endpoints"] == []


def test_ctrl_c_leaves_the_endpoint_starting_and_says_how_to_delete_it(run, double, deploy):
    double.answer("sagemaker.DescribeEndpoint", {"EndpointStatus": "Creating"}, KeyboardInterrupt())
    status, _, errors = run(*deploy)
    assert status == 130
    assert "goes on starting" in errors and "delete-endpoint --endpoint-name shop" in errors
    assert len(double.client("sagemaker").list_endpoints()["Endpoints"]) == 1


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("config.json", "expected a model folder"),
        ("model.safetensors", "expected a model folder"),
        ("tokenizer.json", "expected a tokenizer"),
    ],
)
def test_a_folder_without_a_model_is_refused_before_anything_is_asked(run, double, deploy, model, missing, message):
    (model / missing).unlink()
    status, _, errors = run(*deploy)
    assert (status, double.requests) == (2, []) and message in errors


def test_a_model_that_is_not_there_is_refused(run, double, deploy):
    for name, message in (("no/where", "found neither"), ("s3://bucket/model", "expected the model.tar.gz")):
        deploy[1] = name
        status, _, errors = run(*deploy)
        assert status == 2 and message in errors


def test_an_archive_that_is_none_is_refused(run, double, deploy, tmp_path):
    (tmp_path / "x.tar.gz").write_text("not an archive")
    deploy[1] = tmp_path / "x.tar.gz"
    status, _, errors = run(*deploy)
    assert status == 2 and "expected the model.tar.gz of a training job" in errors


def test_a_job_without_a_model_is_refused(run, double, deploy):
    double.answer("sagemaker.DescribeTrainingJob", {"TrainingJobStatus": "InProgress"})
    deploy[1] = "first"
    status, _, errors = run(*deploy)
    assert status == 1 and "expected a completed one with a model, found InProgress" in errors


# transform


def test_transform_sends_exactly_the_request_of_a_batch_job(run, double, transform):
    double.answer("sagemaker.DescribeTransformJob", {"TransformJobStatus": "Completed"})
    status, _, errors = run(*transform)
    assert status == 0, errors
    assert double.sent("sagemaker.CreateModel") == [create_model("batch")]
    base = f"s3://{BUCKET}/gpsimd/batch"
    assert double.sent("sagemaker.CreateTransformJob") == [
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
    assert double.client("sagemaker").list_models()["Models"] == []


def test_reviews_travel_as_lines_that_the_handlers_take(run, double, transform):
    from gpsimd_torch.serve import handlers

    double.answer("sagemaker.DescribeTransformJob", {"TransformJobStatus": "Completed"})
    assert run(*transform)[0] == 0
    body = double.client("s3").get_object(Bucket=BUCKET, Key="gpsimd/batch/input/reviews.jsonl")["Body"].read()
    (line,) = body.splitlines()
    assert handlers.input_fn(line, "application/json") == ["good, in\ntwo lines", 'it says "no"']


def test_what_transform_uploads_runs_in_the_container_and_predicts_as_here(run, double, transform, served, tmp_path):
    from gpsimd_torch.serve.handlers import Classifier, predict_fn

    double.answer("sagemaker.DescribeTransformJob", {"TransformJobStatus": "Completed"})
    transform[1] = served
    status, _, errors = run(*transform)
    assert status == 0, errors
    for name, content in archive_in_s3(double, "gpsimd/batch/model.tar.gz").items():
        file = tmp_path / "opt" / "ml" / "model" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    request = double.sent("sagemaker.CreateTransformJob")[0]
    key = request["TransformInput"]["DataSource"]["S3DataSource"]["S3Uri"].removeprefix(f"s3://{BUCKET}/")
    lines = double.client("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read().decode()
    model = tmp_path / "opt" / "ml" / "model"
    answer = in_the_stock_container(model, model / "code", lines, request["TransformOutput"]["Accept"])
    classifier = Classifier.load(served, seq_len=16)
    assert [json.loads(line) for line in answer.splitlines()] == predict_fn(
        ["good, in\ntwo lines", 'it says "no"'], classifier
    )


def test_the_predictions_can_be_fetched(run, double, transform, tmp_path):
    double.answer("sagemaker.DescribeTransformJob", {"TransformJobStatus": "Completed"})
    s3 = double.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="gpsimd/batch/output/reviews.jsonl.out", Body=b'{"label": "positive"}\n')
    assert run(*transform, "--predictions", tmp_path / "out.jsonl")[0] == 0
    assert (tmp_path / "out.jsonl").read_text() == '{"label": "positive"}\n'


def test_a_dry_run_of_a_batch_job_asks_nothing(run, no_aws, transform):
    status, output, errors = run(*transform, "--dry-run", "--region", REGION)
    assert status == 0, errors
    document = json.loads(output)
    assert [request["call"] for request in document["requests"]] == ["create_model", "create_transform_job"]
    assert document["uploads"][1]["reviews"] == 2


def test_a_batch_job_that_fails_shows_the_reason(run, double, transform):
    double.answer("sagemaker.DescribeTransformJob", {"TransformJobStatus": "Failed", "FailureReason": "See job logs"})
    status, _, errors = run(*transform)
    assert status == 1 and "ended as Failed: See job logs" in errors


def test_a_batch_job_that_is_refused_leaves_no_model(run, double, transform):
    double.refuse("sagemaker.CreateTransformJob", "ResourceLimitExceeded")
    assert run(*transform)[0] == 1
    assert double.client("sagemaker").list_models()["Models"] == []


def test_ctrl_c_leaves_the_batch_job_and_its_model(run, double, transform):
    double.answer("sagemaker.DescribeTransformJob", {"TransformJobStatus": "InProgress"}, KeyboardInterrupt())
    status, _, errors = run(*transform)
    assert status == 130 and "goes on without you" in errors and "stop-transform-job" in errors
    assert len(double.client("sagemaker").list_models()["Models"]) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "found no row"),
        (b'"1","t"\n', "found 2 columns"),
        (b'"1","t","\xff"\n', "can't decode"),
        (b'"1","t","open\n', "unexpected end of data"),
    ],
)
def test_a_file_of_other_things_is_refused(run, double, transform, tmp_path, content, message):
    transform[2] = tmp_path / "x.csv"
    transform[2].write_bytes(content)
    status, _, errors = run(*transform)
    assert (status, double.requests) == (2, []) and message in errors


def test_lines_in_s3_are_taken_as_they_are(run, double, transform):
    double.answer("sagemaker.DescribeTransformJob", {"TransformJobStatus": "Completed"})
    transform[2] = "s3://theirs/lines/"
    assert run(*transform)[0] == 0
    source = double.sent("sagemaker.CreateTransformJob")[0]["TransformInput"]["DataSource"]["S3DataSource"]
    assert source == {"S3DataType": "S3Prefix", "S3Uri": "s3://theirs/lines/"}
