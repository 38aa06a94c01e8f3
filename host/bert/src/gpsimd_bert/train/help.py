"""What `python -m gpsimd_bert.train --help` says before and after the flags."""

DESCRIPTION = """\
Fine-tune a BERT classifier on product reviews (negative or positive), with stock PyTorch ops, with the
Rust ops on the emulated GPSIMD engine, or with both from the same seed, a few steps of each in turn. Prints
a table of throughput, validation accuracy, billable seconds and training cost, and the machine that it is
of; after --ops both also how far the two loss curves are apart.
"""

EPILOG = """\
examples:
  python -m gpsimd_bert.train
      no files needed: synthetic reviews, the bundled 6-layer BERT, stock and Rust ops
  python -m gpsimd_bert.train --data reviews/ --steps 40 --json out.json
      40 steps on reviews/train.csv, validated on reviews/test.csv
  python -m gpsimd_bert.train --data reviews/ --ops rust --epochs 2 --model-dir model
      train with the Rust ops; plain transformers loads the result from the folder model
  python -m gpsimd_bert.train --data reviews/ --ops rust --text title+content --bf16 --clip 1.0 --epochs 3 --patience 1
      titles too, in bfloat16, with clipped gradients; ends when an epoch has made it no better
  python -m gpsimd_bert.train --data reviews/ --batch-size 8 --accumulate 4 --warmup 200 --weight-decay 0.05
      steps of 32 reviews in the memory of 8; the learning rate climbs over 200 steps
  python -m gpsimd_bert.train --data reviews/ --ops rust --checkpoints saved --checkpoint-every 200
      the same command goes on where an interrupted run of it has stopped
  torchrun --nproc_per_node 2 -m gpsimd_bert.train --data reviews/ --steps 20
      two processes, data parallel (gloo on CPU); each takes --batch-size reviews per step
  torchrun --nnodes 2 --node-rank 0 --nproc_per_node 8 --master-addr 10.0.0.1 --master-port 7777 \\
        -m gpsimd_bert.train --data reviews/ --checkpoints saved
      on two machines: this on 10.0.0.1, and with --node-rank 1 on the other
  python -m gpsimd_bert.train --device xla --steps 5
      through PyTorch/XLA: NeuronCores where torch_neuronx is installed, else XLA's CPU backend
  torchrun --nproc_per_node 2 -m gpsimd_bert.train --device neuron --ops rust --data reviews/
      on the two NeuronCores of a trn1.2xlarge, with the Rust ops built for GPSIMD (not run on a Trainium yet)

review files:
  Amazon Reviews Polarity CSV: no header, three columns "class","title","content"; class 1 is negative,
  2 is positive. Of the others --text chooses.

what the table says:
  throughput      optimizer steps per second; the first quarter of the steps, at most 3, is not counted
                  (allocator, caches and, on xla, compilation)
  billable s      reading and tokenising the reviews, loading the model, training, validating and saving;
                  with --ops both, each row counts the reading that they share, as a job of its own would,
                  and nothing of the other's turns
  training cost   billable seconds x --price-per-hour / 3600, where that is given

metric lines, every --metric-every steps and at the end (gpsimd_bert.train.metrics.DEFINITIONS finds them):
  metric step=20 loss=0.6931 it_per_s=1.25 lr=4.5e-05 ops=rust
  metric step=400 accuracy=0.961 ops=rust      (of a validation on the way)
  metric accuracy=0.984 throughput=6.64 seconds=6033 ops=rust

in a SageMaker container these are defaults, which flags override:
  --data          channels train (or training) and validation (or test): SM_CHANNEL_TRAIN, SM_CHANNEL_TEST, ..
  --model-dir     SM_MODEL_DIR
  --json          training.json in SM_OUTPUT_DATA_DIR
  --checkpoints   /opt/ml/checkpoints, if the job has checkpoints
  --ops           rust
  --device        neuron where SM_NUM_NEURONS is above 0
a job with channels, but none for training, is refused.
hyperparameters may have underscores for hyphens (--batch_size 16), and true or false behind --fresh and --bf16.

Ctrl-C or SIGTERM finishes the step at hand, writes a checkpoint (with --checkpoints), saves the model and prints the
table so far; a second Ctrl-C stops at once. Exit status: 0 done, 1 failed (a loss that is not
a number, a process that died, a full disk), 2 wrong
arguments or data, 130 stopped by Ctrl-C, 143 stopped by SIGTERM.
"""
