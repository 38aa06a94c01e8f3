"""The exceptions of the trainer that are shown as a message, without a traceback."""


class TrainerError(Exception):
    """A mistake in the arguments or the data: the message says what was expected, found, and what to do.

    `python -m gpsimd_bert.train` prints it after `error: ` and exits with status 2.
    """


class JobFailure(Exception):
    """Arguments and data were right, and the job cannot go on: a process died, a disk is full.

    `python -m gpsimd_bert.train` prints it after `error: ` and exits with status 1.
    """
