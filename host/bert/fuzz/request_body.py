"""Any bytes as a request's content type, what it accepts, and its body: texts, or a mistake that is the client's.

The first line is the `Content-Type`, the second the `Accept`; one that is empty is not sent.
"""

from gpsimd_bert.serve.errors import RequestError
from gpsimd_bert.serve.media import WRITTEN, response_type
from gpsimd_bert.serve.request import read
from gpsimd_bert.serve.response import Answer

MOST = 20


def check(data: bytes) -> bool:
    """Whether the input was read to the end."""
    content_type, _, rest = data.partition(b"\n")
    accept, _, body = rest.partition(b"\n")
    try:
        # As servers decode headers.
        kind = response_type(accept.decode("latin-1") or None)
        request = read(body, content_type.decode("latin-1") or None, MOST)
    except RequestError as error:
        assert 400 <= error.status_code < 500, error.status_code
        assert 0 < len(error.message) < 1000
        error.message.encode()
        return False
    assert kind in WRITTEN
    for review_text in ("content", "title+content"):
        texts = request.read_by(review_text)
        assert 0 < len(texts) <= MOST
        assert all(isinstance(text, str) and text.encode() is not None for text in texts)
    scores = [[("negative", 0.25), ("positive", 0.75)] for _ in request.texts]
    return bool(Answer(scores, request.pipeline).body(kind))
