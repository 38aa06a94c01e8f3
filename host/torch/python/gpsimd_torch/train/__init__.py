"""Fine-tune a BERT classifier on product reviews, with stock PyTorch ops or with the Rust ops.

Run it: `python -m gpsimd_torch.train --help`. The files, in the order in which a run meets them:

| file | what it holds |
|---|---|
| `options.py` | the command line |
| `distributed.py` | devices, processes, what differs between CPU and XLA |
| `sources.py`, `reviews.py`, `synthetic.py` | where reviews come from |
| `batches.py` | which review is in which step; token ids; padded batches |
| `model.py` | the classifier, its ops and its optimizer |
| `loop.py` | training, validation |
| `run.py` | one run with one choice of ops, from model to checkpoint |
| `report.py` | the table and the JSON file |
"""
