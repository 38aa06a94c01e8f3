"""The one exception of the trainer: something the person who started it can put right."""


class TrainerError(Exception):
    """A mistake in the arguments or the data: the message says what was expected, found, and what to do.

    `python -m gpsimd_torch.train` prints it after `error: ` and exits with status 2, without a traceback.
    """
