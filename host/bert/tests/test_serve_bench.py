"""The bench of the server."""

import json
import os
import re
import signal

import pytest
from gpsimd_bert.serve import bench
from gpsimd_bert.serve.__main__ import main
from gpsimd_bert.serve.bench_client import problem


def test_the_bench_measures_both_ways_and_no_request_fails(served, tmp_path, capsys):
    arguments = ["--seconds", "1", "--connections", "4", "--seq-len", "32", "--threads", "1"]
    assert main(["bench", str(served), *arguments, "--json", str(tmp_path / "out.json")]) == 0
    output = capsys.readouterr().out
    assert re.search(r"micro-batching +\d+\.\d .* 0\n", output)
    assert re.search(r"one by one +\d+\.\d .* 0\n", output)
    document = json.loads((tmp_path / "out.json").read_text())
    assert [row["failed"] for row in document["rows"]] == [0, 0]
    assert all(row["p50_ms"] <= row["p99_ms"] for row in document["rows"])
    assert document["ratio"] == pytest.approx(
        document["rows"][0]["requests_per_s"] / document["rows"][1]["requests_per_s"], rel=0.05
    )


def test_the_bench_measures_bf16_beside_f32(served, tmp_path, capsys):
    arguments = ["--seconds", "1", "--connections", "4", "--seq-len", "32", "--threads", "1", "--against", "f32"]
    assert main(["bench", str(served), *arguments, "--dtype", "bf16", "--json", str(tmp_path / "out.json")]) == 0
    assert re.search(r"bf16 answers \d+\.\d\d times as many requests", capsys.readouterr().out)
    document = json.loads((tmp_path / "out.json").read_text())
    assert [(row["name"], row["dtype"], row["failed"]) for row in document["rows"]] == [
        ("bf16", "bf16", 0),
        ("f32", "f32", 0),
    ]
    assert main(["bench", str(served), *arguments, "--dtype", "f32"]) == 1
    assert "expected a server in another format, found f32" in capsys.readouterr().err


def test_a_bench_that_is_terminated_stops_its_servers(served, monkeypatch):
    servers = []

    def terminated(server):
        servers.append(server)
        os.kill(os.getpid(), signal.SIGTERM)
        return 1

    monkeypatch.setattr(bench, "_ready", terminated)
    # What main() does not handle is lost here, instead of the end of the tests.
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        assert main(["bench", str(served), "--seconds", "1", "--seq-len", "16", "--threads", "1"]) == 143
    finally:
        signal.signal(signal.SIGTERM, before)
    assert [server.poll() is None for server in servers] == [False]


def test_an_answer_to_another_text_is_a_failure():
    def answer(label, score):
        return json.dumps({"predictions": [{"label": label, "score": score}]}).encode()

    expected = {"label": "negative", "score": 0.75}
    assert problem(200, answer("negative", 0.75), expected, 1e-4) is None
    assert problem(200, answer("negative", 0.7502), expected, 1e-4) is not None
    assert problem(200, answer("positive", 0.75), expected, 1e-4) is not None
    assert problem(503, b"busy", expected, 1e-4) == "status 503: busy"
    assert problem(200, answer("positive", 0.50001), {"label": "negative", "score": 0.50002}, 1e-4) is None


def test_percentiles_and_ratio_are_of_answered_requests():
    fast = bench.Measurement("micro-batching", 32, "f32", 2.0, [index / 1000 for index in range(1, 101)])
    slow = bench.Measurement("slow", 1, "f32", 2.0, [0.1] * 50, ["status 503: busy"])
    assert (fast.percentile_ms(0.5), fast.percentile_ms(0.99)) == (50.0, 99.0)
    lines = bench.table([fast, slow]).splitlines()
    assert lines[-2:] == ["micro-batching answers 2.00 times as many requests", "failed, slow: status 503: busy"]
    assert lines[3].split()[-2:] == ["51", "1"]
