"""The soaks of `cargo xtask soak`, for seconds: that they find nothing, and that they would."""

import contextlib

import pytest
import soak_server
import soak_trainer
from gpsimd_bert.progress import Progress
from soak_server import MiB, Sample, Soak, judge


def test_a_server_at_its_limit_of_connections_stays_as_it_is(tmp_path):
    result = soak_server.run(6.0, 40, tmp_path)
    assert result.failures == []
    assert (result.connections, result.turned_away > 3, result.requests > 0) == (40, True, True)
    assert result.files[0] > 40


def test_a_trainer_that_is_killed_twice_ends_with_the_same_weights(tmp_path):
    with Progress("kills", 2, "kills", enabled=False) as bar:
        result = soak_trainer.soak(2, 1, "stock", 60, tmp_path, bar)
    assert result.failures == []
    assert (result.kills, result.resumed) == (2, 2)


def samples(rss, files=lambda second: 50):
    return [Sample(second, int(rss(second) * MiB), 6, files(second)) for second in range(0, 1800, 2)]


@pytest.mark.parametrize(
    ("rss", "files", "failure"),
    [
        (lambda second: 400 + second % 7 / 10, lambda second: 50, None),
        # Taken at the start.
        (lambda second: min(second, 300), lambda second: 50, None),
        (lambda second: 400 + second / 360, lambda second: 50, "memory grew by 3.6 MiB"),
        (lambda second: 400, lambda second: 50 + second // 500, "files grew from 50 to 53"),
    ],
)
def test_what_grows_is_a_failure(rss, files, failure):
    result = Soak(1)
    judge(result, samples(rss, files), [0.1], (7, 7))
    assert result.failures == ([] if failure is None else [failure])


def test_a_slope_is_told_with_its_error():
    found, error = soak_server.slope(samples(lambda second: 400 + second / 360 + second % 14 / 10))
    assert found == pytest.approx(10, abs=1)
    assert 0 < error < 1


def test_a_trainer_does_not_outlive_the_soak(tmp_path):
    run = soak_trainer.Run(tmp_path, "stock", 60)
    trainer = run.start_or_resume("killed")
    with contextlib.suppress(KeyboardInterrupt), soak_trainer.ended(trainer):
        raise KeyboardInterrupt
    assert trainer.returncode is not None
