"""What `GET /metrics` says of a server, in Prometheus' text format or OpenMetrics."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
TEXTS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
METHODS = ("GET", "HEAD", "POST", "OPTIONS", "PUT", "DELETE", "PATCH")


class Metrics:
    """The metrics of one server. Names begin with `gpsimd_bert_`, and with `process_` for memory, CPU and files."""

    def __init__(self, paths: tuple[str, ...]):
        """`paths`: those that requests are counted by; what clients make up is counted together."""
        self._paths = paths
        registry = self._registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._requests = Counter(
            "gpsimd_bert_requests", "Requests answered.", ["path", "method", "status"], registry=registry
        )
        self._seconds = Histogram(
            "gpsimd_bert_request_seconds",
            "From the head of a request to the last byte of its answer.",
            ["path"],
            buckets=SECONDS,
            registry=registry,
        )
        self._batch_texts = Histogram("gpsimd_bert_batch_texts", "Texts in a batch.", buckets=TEXTS, registry=registry)
        self._batch_seconds = Histogram(
            "gpsimd_bert_batch_seconds", "Duration of a batch's forward passes.", buckets=SECONDS, registry=registry
        )
        self._texts = Counter("gpsimd_bert_texts", "Texts classified.", registry=registry)
        self._tokens = Counter(
            "gpsimd_bert_tokens", "Tokens classified, as cut and without padding.", registry=registry
        )
        self._waiting = Gauge(
            "gpsimd_bert_waiting_texts", "Texts of requests that are not answered yet.", registry=registry
        )
        self._ready = Gauge("gpsimd_bert_ready", "1 if requests are answered, else 0.", registry=registry)
        self._model = Info("gpsimd_bert_model", "The model that is served.", registry=registry)

    def request(self, path: str, method: str, status: int, seconds: float):
        """A request has been answered."""
        path = path if path in self._paths else "other"
        self._requests.labels(path, method if method in METHODS else "other", str(status)).inc()
        self._seconds.labels(path).observe(seconds)

    def batch(self, texts: int, tokens: int, seconds: float):
        """A batch has been through the model."""
        self._batch_texts.observe(texts)
        self._batch_seconds.observe(seconds)
        self._texts.inc(texts)
        self._tokens.inc(tokens)

    def watch(self, waiting: Callable[[], int], is_ready: Callable[[], bool]):
        """What is asked whenever the metrics are."""
        self._waiting.set_function(waiting)
        self._ready.set_function(is_ready)

    def model(self, facts: dict[str, str]):
        """The model is loaded."""
        self._model.info(facts)

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """The metrics and their content type: OpenMetrics where `accept` asks for it, else text format 0.0.4."""
        # Not the library's own choice by the header: it raises on versions that are none.
        if "application/openmetrics-text" in accept.lower():
            return openmetrics.generate_latest(self._registry), openmetrics.CONTENT_TYPE_LATEST
        return generate_latest(self._registry), CONTENT_TYPE_PLAIN_0_0_4
