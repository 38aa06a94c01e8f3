"""The pages in a real browser. Skipped where there is none."""

import json

import pytest
from browser import Browser
from gpsimd_bert.serve.app import Limits
from server_harness import Recorder, Server

MARKUP = "<img src=x onerror=alert(1)> & more"


class TwoLabels(Recorder):
    """Finds every text positive, but for the markup, which is a label of its own."""

    def scores(self, probabilities):
        return [[("negative", 0.125), (text if text == MARKUP else "positive", 0.875)] for text in probabilities]


@pytest.fixture(scope="module")
def server():
    with Server(TwoLabels(), limits=Limits(max_bytes=500, max_texts=5)) as server:
        yield server


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with Browser(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture
def page(server, browser):
    """The page to try a review, just opened."""
    browser.events.clear()
    browser.open(f"http://127.0.0.1:{server.port}/")
    return browser


def write(page: Browser, text: str):
    page.evaluate(f"document.getElementById('text').value = {json.dumps(text)}")


def test_a_review_is_classified_and_nothing_is_asked_for_elsewhere(page, server):
    write(page, "it is grëat")
    page.evaluate("document.getElementById('send').click()")
    page.until("document.querySelector('#result table')")
    assert page.evaluate("document.querySelector('#result').innerText").split() == (
        ["It", "is", "positive", "positive", "87.5", "%", "negative", "12.5", "%"]
    )
    assert page.evaluate("[...document.querySelectorAll('meter')].map((one) => one.value)") == [0.875, 0.125]
    assert "recorder" in page.until("document.getElementById('model').textContent")
    assert page.complaints() == []
    root = f"http://127.0.0.1:{server.port}/"
    assert page.requested() - {"data:,"} == {root, f"{root}health", f"{root}invocations"}


def test_the_keyboard_is_enough(page):
    page.evaluate("document.getElementById('text').focus()")
    page.evaluate("document.getElementById('text').select()")
    page.call("Input.insertText", text="typed")
    page.press("Enter", control=True)
    page.until("document.querySelector('#result table')")
    assert page.evaluate("document.getElementById('text').value") == "typed"
    page.press("Tab")
    assert page.evaluate("document.activeElement.id") == "send"


def test_labels_are_shown_as_text(page):
    write(page, MARKUP)
    page.evaluate("document.getElementById('send').click()")
    page.until("document.querySelector('#result table')")
    assert page.evaluate("document.querySelector('#result caption').textContent") == f"It is {MARKUP}"
    assert page.evaluate("document.querySelectorAll('img').length") == 0


def test_a_refusal_is_told_and_the_next_review_is_classified(page):
    write(page, "x" * 1000)
    page.evaluate("document.getElementById('send').click()")
    told = page.until("document.getElementById('error').textContent")
    assert "expected a request of at most 500 bytes" in told
    write(page, "next")
    page.evaluate("document.getElementById('send').click()")
    page.until("document.querySelector('#result table')")
    assert page.evaluate("document.getElementById('error').textContent") == ""


def test_an_empty_review_is_not_sent(page):
    write(page, "")
    page.evaluate("document.getElementById('send').click()")
    assert page.evaluate("document.getElementById('text').validity.valueMissing") is True
    assert not any("invocations" in address for address in page.requested())


def test_a_screen_reader_meets_named_things(page):
    write(page, "a review")
    page.evaluate("document.getElementById('send').click()")
    page.until("document.querySelector('#result table')")
    found = page.accessible()
    assert {("textbox", "Review"), ("button", "Classify"), ("heading", "Try a review")} <= found
    assert {("meter", "positive"), ("meter", "negative"), ("rowheader", "positive")} <= found
    assert any(role == "status" for role, _ in found)


def test_the_docs_are_shown_without_complaints(page, server):
    page.open(f"http://127.0.0.1:{server.port}/docs")
    assert page.evaluate("document.querySelectorAll('section').length") == 7
    # Their style is applied: the policy names it.
    assert page.evaluate("getComputedStyle(document.querySelector('table')).borderCollapse") == "collapse"
    assert page.complaints() == []
