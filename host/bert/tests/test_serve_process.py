"""The server's process and its command line."""

import contextlib
import json
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from gpsimd_bert.serve.__main__ import main
from server_harness import LOCAL, Process, ask, labels, port_of, until_closed


def test_the_server_answers_without_kernels_and_finishes_what_is_under_way_on_sigterm(served):
    with Process(served, *LOCAL, "--max-batch", "2", "--max-texts", "3000") as process:
        port = port_of(process)
        assert ask(port, method="GET", path="/ping", headers={}).status == 503
        process.until("ready")
        assert ask(port, method="GET", path="/ping", headers={}).status == 200
        assert len(labels(ask(port, ["it broke", "I love it"]))) == 2
        with ThreadPoolExecutor(1) as other:
            under_way = other.submit(ask, port, ["good " * 20] * 2000)
            time.sleep(0.3)
            assert not under_way.done()
            process._process.send_signal(signal.SIGTERM)
            assert len(labels(under_way.result(60))) == 2000
        assert process.end() == 0
        with pytest.raises(OSError):
            ask(port, method="GET", path="/ping")


def test_clients_that_misbehave_neither_stop_the_server_nor_fill_its_log(served):
    with Process(served, *LOCAL, files=200) as process, contextlib.ExitStack() as clients:
        port = port_of(process)
        for _ in range(300):
            client = clients.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))
            client.sendall(b"POST /invocations HTTP/1.1\r\n")
        upgrade = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Key": "a",
            "Sec-WebSocket-Version": "13",
        }
        for headers in ({}, upgrade):
            assert ask(port, method="GET", path="/ping", headers=headers).status in (200, 503)
        with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
            client.sendall(b"\0\r\n\r\n")
            assert until_closed(client).startswith(b"HTTP/1.1 400")
        assert process.end(signal.SIGTERM) == 0
        assert {line.split()[0] for line in process.said} <= {"listening", "ready", "stopped"}


def test_a_second_ctrl_c_ends_the_requests_under_way(served):
    with Process(served, *LOCAL, "--max-batch", "1", "--max-texts", "100000", "--grace", "600") as process:
        port = port_of(process)
        process.until("ready")
        with ThreadPoolExecutor(1) as other:
            under_way = other.submit(ask, port, ["good " * 60] * 30_000)
            time.sleep(0.5)
            for _ in range(2):
                process._process.send_signal(signal.SIGINT)
                time.sleep(0.5)
            response = under_way.result(60)
        assert (response.status, response.answer["error"]) == (503, "the server is stopping; try again")
        assert process.end() == 0
        assert {line.split()[0] for line in process.said} == {"listening", "ready", "stopped"}


def test_the_access_log_is_on_stdout_and_ready_says_the_format(served, tmp_path):
    secret = "nobody may read this"
    with (
        (tmp_path / "access.log").open("wb") as log,
        Process(served, *LOCAL, "--access-log", "json", "--dtype", "bf16", stdout=log) as process,
    ):
        port = port_of(process)
        process.until("ready .* 32 tokens per text, bf16")
        assert ask(port, method="GET", path="/health", headers={}).answer["model"]["dtype"] == "bf16"
        assert len(labels(ask(port, [secret, "I love it"]))) == 2
        assert process.end(signal.SIGTERM) == 0
    text = (tmp_path / "access.log").read_text()
    entries = [json.loads(line) for line in text.splitlines()]
    assert [(entry["path"], entry["status"], entry["texts"]) for entry in entries] == [
        ("/health", 200, 0),
        ("/invocations", 200, 2),
    ]
    assert secret not in text + "".join(process.said)


def test_predict_needs_no_kernels_either(served, tmp_path):
    (tmp_path / "in.csv").write_text("it broke\nI love it\n")
    arguments = ("--column", "1", "--seq-len", "16", "--threads", "1")
    with Process("predict", served, tmp_path / "in.csv", tmp_path / "out.csv", *arguments) as process:
        assert process.end() == 0, process.said
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 3


def test_a_model_that_does_not_load_ends_the_server_with_a_reason(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with Process(tmp_path, *LOCAL) as process:
        assert process.end() == 1
        assert "error:" in "".join(process.said)
        assert "does not load" in "".join(process.said)
        assert "Traceback" not in "".join(process.said)


def test_a_signal_while_the_model_is_loaded_ends_the_server(served):
    with Process(served, *LOCAL) as process:
        port = port_of(process)
        while True:
            with contextlib.suppress(OSError):
                ask(port, method="GET", path="/ping", headers={})
                break
        assert process.end(signal.SIGINT) == 0


def test_a_port_that_is_taken_is_an_error(served, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main([str(served), "--host", "127.0.0.1", "--port", str(port)]) == 1
    assert f"cannot listen on 127.0.0.1 port {port}" in capsys.readouterr().err


# The command line


def test_the_container_calls_serve_and_names_port_and_folder(served, monkeypatch):
    from gpsimd_bert.serve.options import parse

    monkeypatch.setenv("SAGEMAKER_BIND_TO_PORT", "9001")
    monkeypatch.setenv("SM_MODEL_DIR", str(served))
    options = parse(["serve"])
    assert (options.port, options.model_dir, options.host) == (9001, served, "0.0.0.0")
    monkeypatch.delenv("SAGEMAKER_BIND_TO_PORT")
    assert parse([]).port == 8080


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no/such/folder"], "expected the folder of a trained model, found nothing there"),
        (["."], "found no config.json in it"),
        ([__file__], "found a file"),
        (["MODEL", "--port", "70000"], "expected a whole number from 0 to 65535, found '70000'"),
        (["MODEL", "--max-wait-ms", "nan"], "expected a number from 0 to 10000, found 'nan'"),
        (["MODEL", "--seq-len", "2"], "expected a whole number of at least 3"),
        (["MODEL", "--max", "2"], "unrecognized arguments"),
        (["MODEL", "--dtype", "f16"], "invalid choice: 'f16'"),
        (["MODEL", "--access-log", "xml"], "invalid choice: 'xml'"),
        (["bench", "MODEL", "--against", "nothing"], "invalid choice: 'nothing'"),
        (["bench", "MODEL", "--connections", "0"], "expected a whole number from 1 to 1000"),
        (["compare", "MODEL"], "the following arguments are required: MODEL_B, IN.csv"),
    ],
)
def test_a_wrong_argument_is_status_2_with_what_was_expected(served, capsys, arguments, message):
    with pytest.raises(SystemExit) as caught:
        main([str(served) if word == "MODEL" else word for word in arguments])
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


def test_a_port_in_the_environment_that_is_none_is_status_2(served, capsys, monkeypatch):
    monkeypatch.setenv("SAGEMAKER_BIND_TO_PORT", "http")
    with pytest.raises(SystemExit):
        main([str(served)])
    assert "found 'http'" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["", "predict", "compare", "bench"])
def test_help_has_examples(capsys, command):
    with pytest.raises(SystemExit) as caught:
        main([*command.split(), "--help"])
    assert caught.value.code == 0
    assert f"examples:\n  python -m gpsimd_bert.{'train' if command in ('', 'compare') else 'serve'}" in (
        capsys.readouterr().out
    )
