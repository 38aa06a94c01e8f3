"""The exceptions of `gpsimd_bert.serve`: what the person who started it can put right, and what a client can."""

from http import HTTPStatus

try:
    # Of the stock container, which answers these with their status; any other exception becomes a 500.
    from sagemaker_inference.errors import BaseInferenceToolkitError
except ImportError:

    class BaseInferenceToolkitError(Exception):
        """What the container's toolkit calls an error that has an HTTP status."""

        def __init__(self, status_code: int, message: str, phrase: str):
            """`phrase` is the reason beside the status."""
            super().__init__(status_code, message, phrase)
            self.status_code, self.message, self.phrase = status_code, message, phrase


class ServeError(Exception):
    """The message says what was expected, found, and what to do; printed after `error: `, exit status 1."""


class ModelError(Exception):
    """The model folder cannot be served: what was expected, found, and what to do."""


class RequestError(BaseInferenceToolkitError):
    """A request that cannot be answered: its HTTP status, and what was expected and found."""

    def __init__(self, status: int, message: str):
        """`message` goes to the client."""
        super().__init__(status, message, HTTPStatus(status).phrase)

    def __str__(self) -> str:
        """The message alone."""
        return self.message
