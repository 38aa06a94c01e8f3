"""The exception of `gpsimd_bert.serve`: something the person who started it can put right."""


class ServeError(Exception):
    """The message says what was expected, found, and what to do; printed after `error: `, exit status 1."""
