"""Micro-batching."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from gpsimd_bert.serve.batcher import Batcher, Busy
from gpsimd_bert.serve.classifier import PORTION, Classifier
from server_harness import Recorder


def batched(classifier, script, max_wait_s=0.0, max_waiting=1000):
    """Runs the coroutine `script(batcher)`."""

    async def run():
        with ThreadPoolExecutor(1) as forward:
            batcher = Batcher(
                classifier, forward, max_wait_s=max_wait_s, max_waiting=max_waiting, observe=lambda *_: None
            )
            try:
                return await asyncio.wait_for(script(batcher), 30)
            finally:
                await batcher.close()

    return asyncio.run(run())


async def together(batcher, *requests):
    return await asyncio.gather(*(batcher.predict(texts) for texts in requests))


def test_requests_that_arrive_together_share_a_pass():
    recorder = Recorder(max_batch=8)
    answers = batched(recorder, lambda batcher: together(batcher, ["a"], ["b", "c"], ["d"]), max_wait_s=0.5)
    assert [[scores[0][0] for scores in answer] for answer in answers] == [["a"], ["b", "c"], ["d"]]
    assert len(recorder.passes) == 1
    assert sorted(recorder.passes[0]) == ["a", "b", "c", "d"]


def test_after_full_batches_a_request_waits_for_others_again():
    recorder = Recorder(max_batch=4)

    async def script(batcher):
        await together(batcher, ["a"] * 12)
        late = asyncio.create_task(batcher.predict(["b"]))
        await asyncio.sleep(0.05)
        await batcher.predict(["c"])
        await late

    batched(recorder, script, max_wait_s=1.0)
    assert sorted(recorder.passes[-1]) == ["b", "c"]


def test_a_full_batch_does_not_wait():
    recorder = Recorder(max_batch=2)
    started = time.monotonic()
    batched(recorder, lambda batcher: together(batcher, ["a"], ["b"]), max_wait_s=20.0)
    assert time.monotonic() - started < 10
    assert len(recorder.passes) == 1


def test_a_lone_request_waits_no_longer_than_it_may():
    started = time.monotonic()
    batched(Recorder(max_batch=2), lambda batcher: together(batcher, ["a"]), max_wait_s=0.2)
    assert 0.2 <= time.monotonic() - started < 5


def test_with_batches_of_one_each_text_has_its_own_pass():
    recorder = Recorder(max_batch=1)
    batched(recorder, lambda batcher: together(batcher, ["a", "b"], ["c"]))
    assert sorted(map(len, recorder.passes)) == [1, 1, 1]


def test_a_small_request_does_not_queue_behind_a_large_one():
    recorder = Recorder(max_batch=4, work=lambda: time.sleep(0.01))

    async def script(batcher):
        large = asyncio.create_task(batcher.predict(["large"] * 400))
        while not recorder.passes:
            await asyncio.sleep(0.001)
        await batcher.predict(["small"])
        assert not large.done()
        return await large

    assert len(batched(recorder, script)) == 400
    assert ["small" in texts for texts in recorder.passes].index(True) < 20


def test_a_small_request_is_tokenised_between_the_texts_of_a_large_one():
    recorder = Recorder(max_batch=64)
    batched(recorder, lambda batcher: together(batcher, ["x" * PORTION] * 20, ["small"]))
    assert recorder.encoded.index("small") < 5
    assert len(recorder.encoded) == 21


def test_a_request_that_is_larger_than_what_may_wait_is_served_alone():
    async def script(batcher):
        assert len(await batcher.predict(["a"] * 20)) == 20
        waiting = asyncio.create_task(batcher.predict(["a"] * 20))
        await asyncio.sleep(0)
        with pytest.raises(Busy):
            await batcher.predict(["b"])
        await waiting

    batched(Recorder(work=lambda: time.sleep(0.05)), script, max_waiting=10)


def test_a_thousand_requests_at_once_get_their_own_answers(served):
    classifier = Classifier.load(served, seq_len=16, max_batch=32)
    texts = [f"{'very ' * (index % 9)}good {index}" for index in range(1000)]
    answers = batched(classifier, lambda batcher: together(batcher, *([text] for text in texts)), max_wait_s=0.01)
    expected = classifier.probabilities(classifier.encode(texts)).tolist()
    for [found], row in zip(answers, expected, strict=True):
        assert [score for _, score in found] == pytest.approx(row, abs=1e-5)
