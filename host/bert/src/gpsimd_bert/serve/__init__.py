"""Serve a trained review classifier from a plain CPU: no kernels, no Neuron, no compiled module.

Run it: `python -m gpsimd_bert.serve --help`. The files, in the order in which a request meets them:

| file | what it holds |
|---|---|
| `options.py` | the command lines of `serve`, `predict`, `compare` and `bench` |
| `flags.py` | flags that several of them have |
| `help.py` | what their `--help` says beside the flags |
| `server.py` | the process: socket, loading, signals |
| `connection.py` | one client: what is not HTTP, or comes too slowly |
| `app.py` | the routes, and what is refused before it is read |
| `media.py` | content types: which are read, written, asked for |
| `request.py` | body -> texts |
| `classifier.py` | texts -> tokens -> probabilities |
| `response.py` | probabilities -> labels -> body |
| `huggingface.py` | the request form of Hugging Face's toolkit |
| `dtype.py` | f32 or bf16 |
| `handlers.py` | these three as the stock PyTorch container calls them |
| `observe.py`, `metrics.py` | the access log, `/metrics` |
| `openapi.py`, `pages.py` | the interface as a document, `/docs`, and the page to try a review |
| `decimal.py` | whole numbers in what others write |
| `errors.py` | what its starter, and what a client, can put right |
| `batcher.py` | requests that arrive together become one forward pass |
| `review_file.py`, `predict.py` | a CSV file in, a CSV file out |
| `compare.py` | do two models say the same? |
| `bench.py`, `bench_client.py` | the server under load, with and without micro-batching, in bf16 and f32 |
"""
