"""What `--help` of `serve`, `predict`, `compare` and `bench` says beside the flags."""

SERVE_DESCRIPTION = """\
Serve a trained review classifier over HTTP on a plain CPU. Needs neither the kernels nor Neuron. Requests that
arrive together share a forward pass, in bf16 where the CPU multiplies it.

  POST /invocations   texts in, labels out    GET /health    are requests answered, and if not, why?
  GET /ping           is the model loaded?    GET /metrics   for Prometheus
  GET /               a page to try a review  GET /docs, /openapi.json   the interface
"""

SERVE_EPILOG = """\
examples:
  python -m gpsimd_bert.train --data reviews/ --ops rust --output-dir checkpoint
  python -m gpsimd_bert.serve checkpoint
      serve what was trained, on port 8080 of all addresses, as a SageMaker container has to
  curl localhost:8080/invocations -H 'Content-Type: application/json' -d '{"texts": ["it broke", "I love it"]}'
      {"predictions": [{"label": "negative", "score": ..}, {"label": "positive", "score": ..}]}
  curl localhost:8080/invocations -H 'Content-Type: text/csv' --data-binary @reviews/test.csv
      one column, the text, or the three of Amazon Reviews Polarity; no header
  curl localhost:8080/invocations -H 'Content-Type: text/plain' -H 'Accept: text/csv' -d 'it broke'
      negative,0.98..: one review in, a line of CSV out; JSON lines are read and written, too
  curl localhost:8080/invocations -H 'Content-Type: application/json' \\
          -d '{"inputs": "it broke", "parameters": {"top_k": 2}}'
      as Hugging Face's inference toolkit takes and answers it
  python -m gpsimd_bert.serve checkpoint --dtype f32 --access-log json > access.log
      the scores of f32 to the last digits; a line for each request, without its texts
  python -m gpsimd_bert.serve checkpoint --host 127.0.0.1 --port 9000 --max-batch 1
      for this machine only, each text in a pass of its own

other commands, each with --help:
  predict   a CSV file in, a CSV file out
  compare   do two models say the same about a CSV file?
  bench     requests per second and latency, beside a server without micro-batching or in f32

SIGTERM or Ctrl-C: no new connections, requests under way are answered, then the end. Exit status: 0 stopped,
1 the model cannot be loaded or the port is taken, 2 wrong arguments.
"""

PREDICT_DESCRIPTION = """\
Label the reviews of a CSV file with a trained classifier: one row of OUT.csv per review, row,label,score, in
the order of IN.csv. Prints the accuracy where IN.csv has labels.
"""

PREDICT_EPILOG = """\
examples:
  python -m gpsimd_bert.serve predict checkpoint reviews/test.csv out.csv
      Amazon Reviews Polarity: no header, "class","title","content"; prints the accuracy
  python -m gpsimd_bert.serve predict checkpoint in.csv out.csv --column content --label-column sentiment
      columns by the names in the header; labels are the model's names, or their numbers
  python -m gpsimd_bert.serve predict checkpoint in.csv out.csv --column 1 --json summary.json
      the first column of a file without a header

OUT.csv is complete or not there. Exit status: 0 done, 1 a file or the model is not as expected, 2 wrong
arguments, 130 Ctrl-C, 143 SIGTERM.
"""

COMPARE_DESCRIPTION = """\
Do two classifiers say the same about the reviews of a CSV file? A review on which both of a model's best
labels are about as probable is a tie, where rounding decides.
"""

COMPARE_EPILOG = """\
examples:
  python -m gpsimd_bert.train --data reviews/ --ops both --steps 40 --output-dir trained
  python -m gpsimd_bert.serve compare trained/stock trained/rust reviews/test.csv
      a model trained with PyTorch's ops and one trained with the Rust ops
  python -m gpsimd_bert.serve compare checkpoint checkpoint reviews/test.csv --second-dtype bf16
      what bf16 changes in the scores of a model, and in its accuracy where the file has labels

Exit status: 0 they agree but for ties, 1 they do not or something is not as expected, 2 wrong arguments,
130 Ctrl-C, 143 SIGTERM.
"""

BENCH_DESCRIPTION = """\
Requests per second and latency of the server under load: starts it with micro-batching and without (or in f32,
--against f32), on free ports of this machine, and in turn sends each requests of one text over connections that
wait for the answer. Every answer is compared with what the model says about that text alone. The client needs a
share of the same CPUs.
"""

BENCH_EPILOG = """\
examples:
  python -m gpsimd_bert.serve bench checkpoint
      30 s each, 16 connections, short sentences
  python -m gpsimd_bert.serve bench checkpoint --data reviews/test.csv --connections 32 --json out.json
      the reviews of a CSV file (Amazon Reviews Polarity)
  python -m gpsimd_bert.serve bench checkpoint --against f32
      the CPU's bf16 beside f32

Exit status: 0 no request failed, 1 one did or the server did not start, 2 wrong arguments, 130 Ctrl-C, 143 SIGTERM.
"""
