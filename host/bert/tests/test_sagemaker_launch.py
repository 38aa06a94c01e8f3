"""`python -m gpsimd_bert.sagemaker launch` and `status`, against a mock of AWS."""

import json
import os
import re
import signal
import subprocess
import sys
import tarfile
import time
from datetime import UTC, datetime, timedelta

import pytest
from aws_mock import ABSENT, ACCOUNT, BUCKET, REGION, ROLE, WHEELS, refusal
from botocore.exceptions import ReadTimeoutError
from gpsimd_bert.sagemaker import images
from gpsimd_bert.train.metrics import DEFINITIONS

pytest_plugins = ["aws_mock"]

IMAGE = f"763104351884.dkr.ecr.{REGION}.amazonaws.com/{images.TRAINING}"
SPOT = ["--instance", "ml.trn1.32xlarge", "--instances", "2", "--spot", "--max-run", "3600", "--max-wait", "7200"]
FOLLOW = ["status", "first", "--follow", "--poll", "0"]


@pytest.fixture
def arguments(parts, reviews):
    """The arguments of `launch` that every test needs."""
    return ["launch", "--name", "first", "--role", "trainer", "--data", reviews, "--poll", "0", *parts]


def described(status: str, secondary: str, **more) -> dict:
    """The answer of DescribeTrainingJob."""
    created = datetime.now(UTC) - timedelta(minutes=10)
    return {
        "TrainingJobName": "first",
        "TrainingJobStatus": status,
        "SecondaryStatus": secondary,
        "CreationTime": created,
        "ResourceConfig": {"InstanceType": "ml.trn1.2xlarge", "InstanceCount": 1},
        **more,
    }


# The request


def test_launch_sends_exactly_the_request_of_a_distributed_spot_job(run, mock, arguments):
    status, _, errors = run(*arguments, *SPOT, "--tag", "team=nlp", "--env", "A=b", "--", "--epochs", "2", "--lr=3e-5")
    assert status == 0, errors
    base = f"s3://{BUCKET}/gpsimd/first"
    channel = {"S3DataType": "S3Prefix", "S3DataDistributionType": "FullyReplicated"}
    assert mock.sent("sagemaker.CreateTrainingJob") == [
        {
            "TrainingJobName": "first",
            "RoleArn": ROLE,
            "AlgorithmSpecification": {
                "TrainingImage": IMAGE,
                "TrainingInputMode": "File",
                "MetricDefinitions": DEFINITIONS,
            },
            "HyperParameters": {
                "device": '"neuron"',
                "ops": '"rust"',
                "price-per-hour": "49.45",
                "epochs": "2",
                "lr": "3e-05",
                "sagemaker_submit_directory": f'"{base}/source/sourcedir.tar.gz"',
                "sagemaker_program": '"job_entry.py"',
                "sagemaker_container_log_level": "20",
                "sagemaker_job_name": '"first"',
                "sagemaker_region": f'"{REGION}"',
                "sagemaker_torch_distributed_enabled": "true",
                "sagemaker_instance_type": '"ml.trn1.32xlarge"',
            },
            "InputDataConfig": [
                {"ChannelName": name, "DataSource": {"S3DataSource": {**channel, "S3Uri": f"{base}/data/{name}"}}}
                for name in ("train", "test")
            ],
            "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/gpsimd"},
            "ResourceConfig": {"InstanceType": "ml.trn1.32xlarge", "InstanceCount": 2, "VolumeSizeInGB": 512},
            "StoppingCondition": {"MaxRuntimeInSeconds": 3600, "MaxWaitTimeInSeconds": 7200},
            "EnableManagedSpotTraining": True,
            "CheckpointConfig": {"S3Uri": f"{base}/checkpoints"},
            "Environment": {"A": "b"},
            "ProfilerConfig": {"DisableProfiler": True},
            "Tags": [{"Key": "project", "Value": "gpsimd"}, {"Key": "team", "Value": "nlp"}],
        }
    ]


def test_an_on_demand_job_has_no_spot_no_checkpoints_and_one_small_instance(run, mock, arguments):
    assert run(*arguments)[0] == 0
    (request,) = mock.sent("sagemaker.CreateTrainingJob")
    assert request["ResourceConfig"] == {"InstanceType": "ml.trn1.2xlarge", "InstanceCount": 1, "VolumeSizeInGB": 450}
    assert request["StoppingCondition"] == {"MaxRuntimeInSeconds": 86400}
    assert not {"EnableManagedSpotTraining", "CheckpointConfig"} & set(request)


def test_the_service_has_the_job_the_source_and_the_reviews_afterwards(run, mock, arguments, reviews, tmp_path):
    assert run(*arguments)[0] == 0
    assert mock.client("sagemaker").describe_training_job(TrainingJobName="first")["RoleArn"] == ROLE
    s3 = mock.client("s3")
    assert (
        s3.get_object(Bucket=BUCKET, Key="gpsimd/first/data/test/test.csv")["Body"].read()
        == (reviews / "test.csv").read_bytes()
    )
    s3.download_file(BUCKET, "gpsimd/first/source/sourcedir.tar.gz", str(tmp_path / "source.tar.gz"))
    with tarfile.open(tmp_path / "source.tar.gz") as tar:
        assert tar.getnames() == [
            "gpsimd_bert-0.1.0-py3-none-any.whl",
            "gpsimd_torch-0.1.0-cp311-abi3-manylinux_2_34_x86_64.whl",
            "job_entry.py",
            "package/bert_ops.cpp",
            "package/build.py",
            "package/manifest.json",
            "requirements.txt",
        ]
        requirements = tar.extractfile("requirements.txt").read().decode().splitlines()
        assert requirements == [f"./{name}" for name in WHEELS]


def test_reviews_in_s3_are_not_copied(run, mock, arguments):
    status, _, errors = run(*arguments, "--data", "s3://theirs/polarity/", "--bucket", "ours", "--no-wait")
    assert status == 1 and "NoSuchBucket" in errors  # nobody makes a bucket that was named
    mock.client("s3").create_bucket(Bucket="ours")
    assert run(*arguments, "--data", "s3://theirs/polarity/", "--bucket", "ours")[0] == 0
    (request,) = mock.sent("sagemaker.CreateTrainingJob")
    uris = [channel["DataSource"]["S3DataSource"]["S3Uri"] for channel in request["InputDataConfig"]]
    assert uris == ["s3://theirs/polarity/train", "s3://theirs/polarity/test"]
    keys = [item["Key"] for item in mock.client("s3").list_objects_v2(Bucket="ours")["Contents"]]
    assert keys == ["gpsimd/first/source/sourcedir.tar.gz"]


def test_the_sdk_sends_no_telemetry(run, mock, arguments, monkeypatch):
    # It would swallow an error here.
    sent = []
    monkeypatch.setattr("sagemaker.telemetry.telemetry_logging._requests_helper", lambda url, *_: sent.append(url))
    assert run(*arguments)[0] == 0
    assert sent == []


def test_the_same_parts_make_the_same_archive(parts, tmp_path):
    from pathlib import Path

    from gpsimd_bert.sagemaker.bundle import find_source, pack_source

    source = find_source(Path(parts[1]), Path(parts[3]), None)
    for name in ("a", "b"):
        pack_source(source, tmp_path / name)
        for wheel in source.wheels:
            os.utime(wheel, (0, 0))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


# --dry-run


def test_a_dry_run_prints_the_request_that_launch_sends_and_asks_nothing(run, mock, arguments, monkeypatch):
    assert run(*arguments, *SPOT)[0] == 0
    (sent,) = mock.sent("sagemaker.CreateTrainingJob")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    status, output, errors = run(*arguments, *SPOT, "--dry-run")
    assert status == 0, errors
    document = json.loads(output)
    (request,) = document["requests"]
    assert request["call"] == "CreateTrainingJob"
    assert json.loads(json.dumps(request["parameters"]).replace("ACCOUNT", ACCOUNT)) == sent
    assert [upload["to"].rpartition("/")[2] for upload in document["uploads"]] == [
        "sourcedir.tar.gz",
        "train.csv",
        "test.csv",
    ]


def test_a_dry_run_needs_no_credentials(run, no_aws, arguments):
    assert run(*arguments, "--dry-run", "--region", REGION)[0] == 0


# Wrong arguments: status 2, and nothing is asked of AWS


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--data", "nowhere"], "found no train.csv and no test.csv"),
        (["--wheels", "nowhere"], "expected one wheel of gpsimd_torch, gpsimd_torch-*.whl, found none"),
        (["--package", "nowhere"], "found no build.py"),
        (["--neuron-library", "libbert_ops.so"], "expected lib..._neuron.so"),
        (["--max-wait", "10"], "expected --spot beside it"),
        (["--spot", "--max-run", "20", "--max-wait", "10"], "expected at least --max-run"),
        (["--tag", "team"], "expected NAME=VALUE"),
        (["--name", "under_score"], "expected at most 63 letters"),
        (["--name", "a-"], "the first and the last no hyphen"),
        (["--name", "a" + "-" * 70 + "b"], "expected at most 63 letters"),
        (["--role", ""], "expected the name of a role"),
        (["--role", "service-role/mine"], "without its path"),
        (["--bucket", "s3://mine"], "without s3://"),
        (["--bucket", "My Bucket!"], "expected the name of a bucket"),
        (["--data", "s3://My Bucket!/x"], "expected s3://BUCKET/KEY"),
        (["--tag", "aws:x=y"], "AWS's own"),
        (["--tag", "a" * 129 + "=y"], "at most 128 characters"),
        (["--tag", "a=" + "y" * 257], "and 256 of value"),
        (["--tag", "a=<b>"], "found '<'"),
        (["--env", "1 x=y"], "no digit first"),
        (["--env", "A=" + "y" * 513], "at most 512 characters"),
        (["--region", "mars-east-1"], "expected the name of a region"),
        (["--price", "-1"], "expected dollars of at least 0"),
        (["--", "--data", "reviews"], "the reviews are named by launch's own --data"),
        (["--", "--model", "bert-base/"], "which the container does not have"),
        (["--", "--model", "reviews"], "which the container does not have"),
        (["--checkpoints", "/tmp"], "expected s3://BUCKET/KEY"),
        (["--role", "arn:aws:iam::1:user/me"], "expected the ARN of a role"),
        (["--instance", "ml.p4d.24xlarge"], "invalid choice"),
        (["--", "epochs"], "expected --name value pairs"),
        (["--", "--epochs", "none"], "the trainer does not take"),
        (["--", "--no-such-flag", "1"], "the trainer does not take"),
    ],
)
def test_wrong_arguments_are_told_before_anything_is_asked(run, mock, arguments, more, message):
    status, _, errors = run(*arguments, *more)
    assert (status, mock.requests) == (2, [])
    assert message in errors


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("train.csv", "", "train.csv holds no reviews"),
        ("test.csv", "class,title,content\n", "test.csv:1: expected three columns"),
        ("train.csv", '"1","t","a"\n"3","t","b"\n', "train.csv:2: "),
    ],
)
def test_reviews_that_the_trainer_would_refuse_start_no_job(run, mock, arguments, reviews, file, content, message):
    (reviews / file).write_text(content)
    status, _, errors = run(*arguments)
    assert (status, mock.requests) == (2, []) and message in errors


def test_an_sdk_that_is_not_there_is_told_before_anything_is_asked(run, mock, arguments, monkeypatch):
    for module in ("sagemaker", "sagemaker.pytorch"):
        monkeypatch.setitem(sys.modules, module, None)
    status, _, errors = run(*arguments)
    assert (status, mock.requests) == (2, []) and "gpsimd_bert[sagemaker]" in errors


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "Unable to load"),
        ("[a: [b\n", "while parsing"),
        ("SageMaker: {}\n", "'SchemaVersion' is a required property;"),
    ],
)
def test_defaults_of_the_sdk_that_cannot_be_read_are_told(
    run, mock, arguments, monkeypatch, tmp_path, content, message
):
    file = tmp_path / "defaults.yaml"
    if content is not None:
        file.write_text(content)
    monkeypatch.setenv("SAGEMAKER_USER_CONFIG_OVERRIDE", str(file))
    status, _, errors = run(*arguments)
    assert (status, mock.requests) == (2, [])
    assert f"SAGEMAKER_USER_CONFIG_OVERRIDE={file}" in errors and message in errors


def test_the_sdk_leaves_exceptions_as_python_shows_them(tmp_path):
    code = (
        "import sys; from gpsimd_bert.sagemaker.estimator import Sdk; Sdk.load();"
        "assert sys.excepthook is sys.__excepthook__"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_the_help_of_the_trainer_is_no_error(run, mock, arguments):
    status, output, errors = run(*arguments, "--", "--help")
    assert (status, mock.requests, errors) == (0, [], "") and "--batch-size" in output


def test_the_trainers_options_are_hyperparameters_that_it_reads_back(run, mock, arguments):
    from gpsimd_bert.train.options import parse

    options = ["--text", "title+content", "--rust-ops", "gelu,softmax", "--accumulate", "2", "--bf16", "--clip", "1.0"]
    options += ["--warmup", "0.2", "--weight-decay", "0.1", "--validate-every", "10", "--patience", "3"]
    status, _, errors = run(*arguments, "--", *options)
    assert status == 0, errors
    sent = mock.sent("sagemaker.CreateTrainingJob")[0]["HyperParameters"]
    # As the container's entry point makes them the script's arguments.
    flags = []
    for name in [option.removeprefix("--") for option in options if option.startswith("--")]:
        flags += [f"--{name}", str(json.loads(sent[name]))]
    data = ["--data", str(arguments[arguments.index("--data") + 1])]
    assert parse([*data, *flags], {}) == parse([*data, *options], {})


def test_a_hyperparameter_has_one_name_however_it_is_written(run, mock, arguments):
    assert run(*arguments, "--", "--batch_size", "8", "--batch-size", "16")[0] == 0
    sent = mock.sent("sagemaker.CreateTrainingJob")[0]["HyperParameters"]
    assert sent["batch-size"] == "16" and "batch_size" not in sent


@pytest.mark.parametrize(
    ("more", "bill"),
    [
        (
            ["--instance", "ml.trn1.32xlarge", "--instances", "2", "--max-run", "3600"],
            "the largest bill is $49.45: 1 h (--max-run) x 2 x ml.trn1.32xlarge x $24.725 an hour",
        ),
        (["--price", "1.5"], "the largest bill is $36.00: 24 h (--max-run) x 1 x ml.trn1.2xlarge x $1.5 an hour"),
        # Waiting for spot instances is not paid for.
        (["--price", "1", "--spot", "--max-run", "3600", "--max-wait", "36000"], "the largest bill is $1.00: 1 h"),
        ([], "the largest bill is not known: 24 h (--max-run) x 1 x ml.trn1.2xlarge, of which no price is known here"),
    ],
)
def test_the_largest_bill_is_told_before_anything_is_uploaded(run, mock, arguments, more, bill):
    mock.refuse("s3.PutObject", "AccessDenied")
    status, _, errors = run(*arguments, "--region", REGION, *more)
    assert status == 1 and bill in errors and mock.sent("sagemaker.CreateTrainingJob") == []


def test_a_dry_run_tells_the_largest_bill_beside_its_json(run, no_aws, arguments):
    status, output, errors = run(*arguments, "--dry-run", "--region", REGION, "--price", "2")
    assert status == 0 and "the largest bill is $48.00" in errors
    assert "requests" in json.loads(output)


@pytest.mark.parametrize(
    ("more", "price"),
    [
        ([], None),
        (["--price", "1.25", "--instances", "2"], "2.5"),
        (["--instance", "ml.trn1.32xlarge"], "24.725"),
        (["--", "--price_per_hour", "7"], "7"),
    ],
)
def test_a_price_is_sent_where_it_is_known(run, mock, arguments, more, price):
    assert run(*arguments, *more)[0] == 0
    assert mock.sent("sagemaker.CreateTrainingJob")[0]["HyperParameters"].get("price-per-hour") == price


def test_a_file_that_is_no_wheel_is_refused(run, mock, arguments, tmp_path):
    for wheel in (tmp_path / "wheels").iterdir():
        wheel.write_text("no archive")
    status, _, errors = run(*arguments)
    assert status == 2 and "found a file that is none" in errors


def test_paths_of_the_container_are_not_looked_for_here(run, mock, arguments):
    assert run(*arguments, "--", "--model-dir", "/opt/ml/model", "--fresh")[0] == 0
    (request,) = mock.sent("sagemaker.CreateTrainingJob")
    assert request["HyperParameters"]["model-dir"] == '"/opt/ml/model"'
    assert request["HyperParameters"]["fresh"] == "true"


def test_no_region_is_an_error_that_names_the_option(run, no_aws, arguments):
    status, _, errors = run(*arguments)
    assert status == 2 and "no AWS region is named: expected --region" in errors


def test_a_profile_that_does_not_exist_is_told(run, no_aws, arguments, monkeypatch):
    status, _, errors = run(*arguments, "--profile", "nobody")
    assert status == 2 and "--profile nobody: " in errors
    monkeypatch.setenv("AWS_PROFILE", "somebody")
    status, _, errors = run(*arguments)
    assert status == 2 and "somebody" in errors and "None" not in errors


def test_a_region_that_does_not_answer_may_be_misspelt(run, no_aws, arguments, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setattr("time.sleep", lambda _: None)
    status, _, errors = run(*arguments, "--region", "us-esat-1")
    assert status == 1 and "check --region and the network" in errors


def test_no_credentials_are_an_error_that_says_what_to_do(run, no_aws, arguments):
    status, _, errors = run(*arguments, "--region", REGION, "--role", ROLE)
    assert status == 1 and "no AWS credentials were found; run `aws configure`" in errors


# The role


def test_a_missing_role_is_an_error_for_a_user(run, mock, arguments):
    mock.answer("sts.GetCallerIdentity", {"Account": ACCOUNT, "Arn": f"arn:aws:iam::{ACCOUNT}:user/me"})
    arguments[arguments.index("--role") : arguments.index("--role") + 2] = []
    status, _, errors = run(*arguments)
    assert status == 2 and "expected --role" in errors and "user/me" in errors
    assert mock.sent("sagemaker.CreateTrainingJob") == []


def test_without_a_role_that_of_the_session_is_taken(run, mock, arguments):
    arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/trainer/notebook"
    mock.answer("sts.GetCallerIdentity", {"Account": ACCOUNT, "Arn": arn})
    arguments[arguments.index("--role") : arguments.index("--role") + 2] = []
    assert run(*arguments)[0] == 0
    assert mock.sent("sagemaker.CreateTrainingJob")[0]["RoleArn"] == ROLE


def test_a_role_that_does_not_exist_is_told(run, mock, arguments):
    status, _, errors = run(*arguments, "--role", "nobody")
    assert status == 1 and "looking up the role nobody" in errors and "give its ARN with --role" in errors


# AWS refuses

CALLS = [
    ("sts.GetCallerIdentity", "asking AWS who we are"),
    ("iam.GetRole", "looking up the role trainer"),
    ("s3.HeadBucket", f"looking up the bucket {BUCKET}"),
    ("s3.PutObject", "uploading the source to s3://"),
    ("sagemaker.CreateTrainingJob", "making the training job first"),
    ("sagemaker.DescribeTrainingJob", "looking for the training job first"),
]


@pytest.mark.parametrize(("call", "doing"), CALLS)
@pytest.mark.parametrize(("code", "advice"), [("AccessDeniedException", "lack this permission")])
def test_each_call_that_is_refused_is_told_with_what_was_being_done(run, mock, arguments, call, doing, code, advice):
    mock.refuse(call, code, "not allowed")
    status, _, errors = run(*arguments)
    assert status == 1
    assert doing in errors and code in errors and "not allowed" in errors and advice in errors


@pytest.mark.parametrize(("call", "doing"), CALLS[:-1])
def test_each_call_that_is_throttled_is_told(run, mock, arguments, call, doing):
    mock.refuse(call, "ThrottlingException", "rate exceeded")
    status, _, errors = run(*arguments)
    assert status == 1 and doing in errors and "try again in a minute" in errors


def test_a_bucket_that_cannot_be_made_is_told(run, mock, arguments):
    mock.refuse("s3.CreateBucket", "AccessDenied", "not allowed")
    status, _, errors = run(*arguments)
    assert status == 1 and f"making the bucket {BUCKET}" in errors


def test_a_missing_quota_says_where_to_ask_for_more(run, mock, arguments):
    mock.refuse(
        "sagemaker.CreateTrainingJob",
        "ResourceLimitExceeded",
        "The account-level service limit 'ml.trn1.2xlarge for training job usage' is 0 Instances",
    )
    status, _, errors = run(*arguments)
    assert status == 1
    assert "is 0 Instances" in errors and "Service Quotas > Amazon SageMaker" in errors


def test_a_role_that_sagemaker_may_not_take_on_is_told(run, mock, arguments):
    mock.refuse("sagemaker.CreateTrainingJob", "ValidationException", "Could not assume role arn:aws:iam::1:role/x.")
    status, _, errors = run(*arguments)
    assert status == 1 and "must trust sagemaker.amazonaws.com" in errors


# The name


def test_a_name_that_is_taken_is_told_before_its_files_are_replaced(run, mock, arguments, reviews):
    assert run(*arguments)[0] == 0
    (reviews / "train.csv").write_text('"1","t","changed"\n')
    before = len(mock.sent("s3.PutObject"))
    status, _, errors = run(*arguments)
    assert status == 1 and "the training job first exists already" in errors and "--name" in errors
    assert len(mock.sent("s3.PutObject")) == before
    body = mock.client("s3").get_object(Bucket=BUCKET, Key="gpsimd/first/data/train/train.csv")["Body"].read()
    assert b"changed" not in body


def test_a_job_whose_answer_was_lost_is_followed(run, mock, arguments):
    """botocore asks again, and hears that the name is taken."""
    taken = refusal("ResourceInUse", "Training job names must be unique within an AWS account and region")

    def lost():
        request = mock.sent("sagemaker.CreateTrainingJob")[0]
        mock.client("sagemaker").create_training_job(**request)
        return taken

    mock.answer("sagemaker.CreateTrainingJob", lost)
    status, output, errors = run(*arguments)
    assert status == 0, errors
    assert "Completed" in output


def test_a_name_that_somebody_took_meanwhile_is_told(run, mock, arguments):
    mock.refuse("sagemaker.CreateTrainingJob", "ResourceInUse", "must be unique")
    mock.answer("sagemaker.DescribeTrainingJob", ABSENT, described("InProgress", "Training"))
    status, _, errors = run(*arguments)
    assert status == 1 and "choose another name" in errors


# Following


def test_following_shows_status_metrics_and_log_until_the_end(run, mock, arguments):
    metrics = [{"MetricName": "train:loss", "Value": 0.25, "Timestamp": datetime.now(UTC)}]
    mock.answer(
        "sagemaker.DescribeTrainingJob",
        ABSENT,
        described("InProgress", "Starting"),
        described("InProgress", "Training", FinalMetricDataList=metrics),
        described(
            "Completed",
            "Completed",
            FinalMetricDataList=metrics,
            BillableTimeInSeconds=321,
            ModelArtifacts={"S3ModelArtifacts": "s3://b/model.tar.gz"},
        ),
    )
    logs = mock.client("logs")
    logs.create_log_group(logGroupName="/aws/sagemaker/TrainingJobs")
    logs.create_log_stream(logGroupName="/aws/sagemaker/TrainingJobs", logStreamName="first/algo-1-1")
    now = int(time.time() * 1000)
    logs.put_log_events(
        logGroupName="/aws/sagemaker/TrainingJobs",
        logStreamName="first/algo-1-1",
        logEvents=[{"timestamp": now + line, "message": f"line {line}"} for line in range(9)],
    )
    status, output, errors = run(*arguments, "--log-lines", "3")
    assert status == 0
    assert errors.index("InProgress (Starting)") < errors.index("InProgress (Training)  0:1")
    assert "train:loss 0.25" in errors
    assert "... 6 more lines of the log" in errors
    assert [f"line {line}" in errors for line in (5, 6, 7, 8)] == [False, True, True, True]
    assert errors.count("line 8") == 1
    assert re.search(r"billable s +321\n", output) and "s3://b/model.tar.gz" in output


def test_a_job_that_fails_shows_the_reason_and_status_1(run, mock):
    reason = "AlgorithmError: gpsimd: build.py failed with status 1"
    mock.answer("sagemaker.DescribeTrainingJob", described("Failed", "Failed", FailureReason=reason))
    status, _, errors = run(*FOLLOW)
    assert status == 1 and f"error: the job first failed: {reason}" in errors


def test_a_job_that_was_stopped_is_no_success(run, mock):
    mock.answer("sagemaker.DescribeTrainingJob", described("Stopped", "Stopped"))
    assert run(*FOLLOW)[0] == 1


def test_following_outlives_throttling(run, mock):
    mock.answer("sagemaker.DescribeTrainingJob", described("Completed", "Completed"))
    throttled = refusal("ThrottlingException", "rate exceeded")
    mock._answers["sagemaker.DescribeTrainingJob"][:0] = [throttled] * 3
    status, _, errors = run(*FOLLOW)
    assert status == 0 and "no answer" in errors and "trying again" in errors


def test_a_log_that_may_not_be_read_is_no_reason_to_stop(run, mock):
    mock.answer("sagemaker.DescribeTrainingJob", described("Completed", "Completed"))
    mock.refuse("logs.FilterLogEvents", "AccessDeniedException")
    assert run(*FOLLOW)[0] == 0


def test_json_is_all_that_standard_output_gets(run, mock):
    mock.answer("sagemaker.DescribeTrainingJob", described("Completed", "Completed"))
    status, output, _ = run(*FOLLOW, "--json")
    assert status == 0
    document = json.loads(output)
    assert (document["job"], document["status"], document["instances"]) == ("first", "Completed", 1)


def test_no_wait_returns_at_once_and_says_how_to_follow(run, mock, arguments):
    mock.answer("sagemaker.DescribeTrainingJob", ABSENT, described("InProgress", "Starting"))
    status, output, errors = run(*arguments, "--no-wait")
    assert status == 0 and "status first --follow" in errors and "InProgress" in output


def test_ctrl_c_while_following_leaves_the_job_and_says_how_to_return(run, mock, arguments):
    mock.answer("sagemaker.DescribeTrainingJob", ABSENT, described("InProgress", "Training"), KeyboardInterrupt())
    status, _, errors = run(*arguments)
    assert status == 130
    assert "the job first goes on without you" in errors
    assert f"python -m gpsimd_bert.sagemaker status first --follow --region {REGION}" in errors
    assert "stop-training-job --training-job-name first" in errors
    assert mock.sent("sagemaker.StopTrainingJob") == []


def test_a_real_ctrl_c_ends_the_process_without_a_traceback(mock, tmp_path):
    # The mock's jobs complete at once: one that goes on is put beneath the command, in its process.
    script = tmp_path / "slow.py"
    script.write_text(
        "import sys\n"
        "from gpsimd_bert.sagemaker import follow\n"
        "def slow(self, aws):\n"
        "    self.description = {'TrainingJobStatus': 'InProgress', 'SecondaryStatus': 'Training'}\n"
        "follow.Training.look = slow\n"
        "from gpsimd_bert.sagemaker.__main__ import main\n"
        "sys.exit(main())\n"
    )
    process = subprocess.Popen([sys.executable, str(script), *FOLLOW], stderr=subprocess.PIPE, text=True)
    for line in process.stderr:
        if "InProgress (Training)" in line:
            break
    process.send_signal(signal.SIGINT)
    errors = process.stderr.read()
    assert process.wait(timeout=60) == 130
    assert "goes on without you" in errors and "Traceback" not in errors


def test_ctrl_c_while_uploading_starts_no_job(run, mock, arguments):
    # The transfer runs in a thread; a Ctrl-C arrives in the main one, which waits for it.
    mock.answer("s3.PutObject", lambda: os.kill(os.getpid(), signal.SIGINT) or time.sleep(0.5) or {})
    status, _, _ = run(*arguments)
    assert status == 130 and mock.sent("sagemaker.CreateTrainingJob") == []


def test_a_job_that_can_no_longer_be_watched_goes_on_and_is_found_again(run, mock, arguments):
    expired = refusal("ExpiredTokenException", "The security token included in the request is expired")
    mock.answer("sagemaker.DescribeTrainingJob", ABSENT, described("InProgress", "Training"), expired)
    status, _, errors = run(*arguments)
    assert status == 1 and "sign in again" in errors
    assert "the job first goes on without you" in errors and "status first --follow" in errors


def test_no_wait_says_how_to_follow_a_job_that_cannot_be_looked_at(run, mock, arguments):
    mock.answer("sagemaker.DescribeTrainingJob", ABSENT, refusal("AccessDeniedException"))
    status, _, errors = run(*arguments, "--no-wait")
    assert status == 1 and "status first --follow" in errors


def test_commands_to_return_name_the_profile(run, mock, arguments, monkeypatch, tmp_path):
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    (tmp_path / "config").write_text("[profile work]\naws_access_key_id=a\naws_secret_access_key=b\n")
    status, _, errors = run(*arguments, "--profile", "work", "--no-wait")
    assert status == 0 and errors.count(f"--region {REGION} --profile work") == 2


@pytest.mark.parametrize("answer", [KeyboardInterrupt(), ReadTimeoutError(endpoint_url="https://aws")])
def test_a_job_of_which_nobody_heard_may_run_and_is_found_again(run, mock, arguments, answer):
    mock.answer("sagemaker.CreateTrainingJob", answer)
    status, _, errors = run(*arguments)
    assert status == (130 if isinstance(answer, KeyboardInterrupt) else 1)
    assert "the job first may or may not have been started" in errors and "status first --follow" in errors


def test_the_pages_of_a_log_are_asked_for_alike(run, mock):
    mock.answer("sagemaker.DescribeTrainingJob", described("Completed", "Completed"))
    event = {"eventId": "1", "timestamp": 1000, "message": "one"}
    mock.answer("logs.FilterLogEvents", {"events": [event], "nextToken": "T"}, {"events": []})
    assert run("status", "first")[0] == 0
    first, second = mock.sent("logs.FilterLogEvents")
    assert second == first | {"nextToken": "T"}


# status


def test_status_shows_a_job(run, mock, arguments):
    assert run(*arguments, "--no-wait")[0] == 0
    status, output, _ = run("status", "first")
    assert status == 0 and "1 x ml.trn1.2xlarge" in output


def test_status_of_a_job_that_does_not_exist_says_so(run, mock):
    status, _, errors = run("status", "nobody")
    assert status == 1 and "nobody" in errors and "--region" in errors


def test_status_of_what_is_no_name_is_refused(run, mock):
    status, _, errors = run("status", "no such job")
    assert (status, mock.requests) == (2, []) and "expected at most 63 letters" in errors


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
def test_an_output_that_is_full_is_told(no_aws, arguments):
    command = [sys.executable, "-m", "gpsimd_bert.sagemaker", *map(str, arguments), "--region", REGION, "--dry-run"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=120)
    assert done.returncode == 1
    bill, error = done.stderr.splitlines()
    assert bill.startswith("the largest bill is")
    assert error.startswith("error: cannot write to stdout: No space left on device; ")


def test_trainer_arguments_belong_to_launch_alone(run, mock):
    status, _, errors = run("status", "first", "--", "--epochs", "1")
    assert status == 2 and "only launch takes arguments for the trainer" in errors


# Images


def test_images_are_those_of_the_region():
    assert images.uri(images.TRAINING, "us-west-2").startswith("763104351884.dkr.ecr.us-west-2.amazonaws.com/pytorch-")
    assert images.uri("x:1", "cn-north-1") == "727897471807.dkr.ecr.cn-north-1.amazonaws.com.cn/x:1"


@pytest.mark.parametrize("region", ["us-east-1", "eu-central-2", "cn-northwest-1", "ap-east-1"])
def test_the_inference_image_is_the_one_that_the_sdk_knows(region):
    from sagemaker import image_uris

    known = image_uris.retrieve(
        "pytorch", region, "2.6.0", "py312", instance_type="ml.c5.xlarge", image_scope="inference"
    )
    assert images.uri(images.INFERENCE, region) == known
