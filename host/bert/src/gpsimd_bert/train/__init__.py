"""Fine-tune a BERT classifier on product reviews, with stock PyTorch ops or with the Rust ops.

Run it: `python -m gpsimd_bert.train --help`. The files, in the order in which a run meets them:

| file | what it holds |
|---|---|
| `options.py`, `flags.py`, `help.py`, `container.py` | the command line, and what a container says instead |
| `distributed.py`, `peers.py` | devices, processes, what differs between CPU and XLA; who died |
| `sources.py`, `review_sets.py`, `synthetic.py`, `places.py` | where reviews come from |
| `batches.py`, `prepared.py` | which review is in which step; token ids; padded batches |
| `model.py` | the classifier, its ops and its optimizer |
| `keeper.py`, `checkpoints.py` | what survives an interruption, and the files that hold it |
| `loop.py`, `metrics.py` | training, validation, metric lines |
| `run.py` | the runs of a job, in turn, each with its choice of ops, from model to saved model |
| `report.py`, `machine.py` | the table and the JSON file; what machine they are of |
"""
