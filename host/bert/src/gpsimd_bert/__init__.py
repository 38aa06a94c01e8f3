"""BERT fine-tuning with GPSIMD operators: an application of `gpsimd_torch`.

`python -m gpsimd_bert.train` trains a classifier of reviews with PyTorch's ops or with the Rust ops, `python -m
gpsimd_bert.serve` serves what was trained from a plain CPU, `python -m gpsimd_bert.sagemaker` does both on SageMaker.
"""
