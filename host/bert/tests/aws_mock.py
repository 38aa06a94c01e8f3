"""A mock of AWS for the tests of `gpsimd_bert.sagemaker`: moto's server, on loopback.

What the mock does not do (refuse, fail, be slow) is simulated where botocore is about to send a request.
"""

import json
import urllib.request
import zipfile

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.loaders import create_loader
from gpsimd_bert.sagemaker.__main__ import main
from moto.server import ThreadedMotoServer

REGION = "us-east-1"
ACCOUNT = "123456789012"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/trainer"
# botocore's descriptions of services are megabytes of JSON: read once for all tests.
LOADER = create_loader()
WHEELS = {
    "gpsimd_torch-0.1.0-cp311-abi3-manylinux_2_34_x86_64.whl": "gpsimd_torch/ops.py",
    "gpsimd_bert-0.1.0-py3-none-any.whl": "gpsimd_bert/train/metrics.py",
}
BUCKET = f"sagemaker-{REGION}-{ACCOUNT}"


@pytest.fixture(scope="session")
def server():
    """The server's address."""
    mock = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    mock.start()
    host, port = mock.get_host_and_port()
    yield f"http://{host}:{port}"
    mock.stop()


@pytest.fixture
def no_aws(monkeypatch, tmp_path):
    """An environment that knows no account, and a working folder with nothing in it."""
    for name in ("AWS_PROFILE", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    # No request may leave this machine: whatever is not told of the mock ends here.
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.chdir(tmp_path)


def refusal(code: str, message: str = "no", status: int = 400) -> tuple[int, dict]:
    """An answer that is an error of AWS."""
    return status, {"Error": {"Code": code, "Message": message}}


# The answer to the first look at a name, which is to be free.
ABSENT = refusal("ValidationException", "Requested resource not found.")


class MockAccount:
    """The account behind the commands."""

    def __init__(self, address: str, monkeypatch):
        self.address = address
        self._monkeypatch = monkeypatch
        self.requests: list[tuple[str, dict]] = []
        self._answers: dict[str, list] = {}

    def client(self, service: str):
        """A client of the test's own, outside of what is simulated."""
        session = boto3.Session(region_name=REGION)
        session._session.register_component("data_loader", LOADER)
        return session.client(service, endpoint_url=self.address)

    def refuse(self, call: str, code: str, message: str = "no", status: int = 400):
        """From now on `call`, e.g. `sagemaker.CreateTrainingJob`, ends with the error."""
        self.answer(call, refusal(code, message, status))

    def answer(self, call: str, *answers):
        """`call` gets these answers one after the other, the last one forever.

        An exception is raised, a function called for the answer, and a pair is what `refusal` makes.
        """
        self._answers[call] = list(answers)

    def sent(self, call: str) -> list[dict]:
        """The parameters of the requests to `call`."""
        return [parameters for name, parameters in self.requests if name == call]

    def watch(self, session):
        """Records what `session` sends, and answers what is to be simulated."""
        session._session.register_component("data_loader", LOADER)
        session.events.register("before-parameter-build.*.*", self._record)
        session.events.register("before-call.*.*", self._before_call)

    def _record(self, params, model, **_):
        name = f"{model.service_model.service_name}.{model.name}"
        self.requests.append((name, json.loads(json.dumps(params, default=str))))

    def _before_call(self, model, **_):
        queue = self._answers.get(f"{model.service_model.service_name}.{model.name}")
        if not queue:
            return None
        answer = queue.pop(0) if len(queue) > 1 else queue[0]
        if callable(answer):
            answer = answer()
        if isinstance(answer, BaseException):
            raise answer
        status, parsed = answer if isinstance(answer, tuple) else (200, answer)
        parsed = parsed | {"ResponseMetadata": {"HTTPStatusCode": status}}
        return AWSResponse("simulated:", status, {}, None), parsed


@pytest.fixture
def mock(server, no_aws, monkeypatch):
    """An empty account that has the role `trainer`."""
    from gpsimd_bert.sagemaker.aws import Aws

    monkeypatch.setenv("AWS_ENDPOINT_URL", server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    urllib.request.urlopen(urllib.request.Request(f"{server}/moto-api/reset", method="POST"), timeout=30).close()
    account = MockAccount(server, monkeypatch)
    account.client("iam").create_role(RoleName="trainer", AssumeRolePolicyDocument="{}")
    made = Aws.__init__

    def init(self, *arguments, **keywords):
        made(self, *arguments, **keywords)
        account.watch(self.session)

    monkeypatch.setattr(Aws, "__init__", init)
    return account


@pytest.fixture
def reviews(tmp_path):
    """A folder with train.csv and test.csv."""
    folder = tmp_path / "reviews"
    folder.mkdir()
    (folder / "train.csv").write_text('"1","t","bad"\n"2","t","good"\n')
    (folder / "test.csv").write_text('"2","t","good, in\ntwo lines"\n"1","t","it says ""no"""\n')
    return folder


@pytest.fixture
def parts(tmp_path):
    """`--wheels` and `--package` with small stand-ins."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    for name, file in WHEELS.items():
        with zipfile.ZipFile(wheels / name, "w") as files:
            files.writestr(file, "")
    package = tmp_path / "package"
    package.mkdir()
    for name in ("build.py", "manifest.json", "bert_ops.cpp", "libbert_ops.so"):
        (package / name).write_text(name)
    return ["--wheels", str(wheels), "--package", str(package)]


@pytest.fixture
def run(capsys):
    """Runs a command in this process: status, standard output, standard error."""

    def command(*arguments) -> tuple[int, str, str]:
        capsys.readouterr()
        try:
            status = main([str(argument) for argument in arguments])
        except SystemExit as error:
            status = error.code
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return status, captured.out, captured.err

    return command
