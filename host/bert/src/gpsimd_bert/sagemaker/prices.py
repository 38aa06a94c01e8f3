"""What an hour of an instance costs, and the published results to compare with."""

from .errors import UsageError

HOUR_S = 3600

# $ per hour and instance, on demand. The AWS post that the trainer follows has these two; `--price INSTANCE=X` adds
# others, and replaces these where a region charges something else.
PER_HOUR = {"ml.trn1.32xlarge": 24.725, "ml.p4d.24xlarge": 37.69}

# Training BERT base for review classification: the results of that post, best of several jobs each. It prints
# 41.47 $ where 6033 s at 24.725 $/h make 41.43 $.
PUBLISHED = (
    {
        "model": "BERT base classification",
        "instance": "ml.trn1.32xlarge",
        "price_per_hour": 24.725,
        "throughput_it_s": 6.64,
        "validation_accuracy": 0.984,
        "billable_s": 6033.0,
        "training_cost_usd": 41.47,
    },
    {
        "model": "BERT base classification",
        "instance": "ml.p4d.24xlarge",
        "price_per_hour": 37.69,
        "throughput_it_s": 5.44,
        "validation_accuracy": 0.984,
        "billable_s": 6553.0,
        "training_cost_usd": 68.6,
    },
)


def parse(values: list[str]) -> dict[str, float]:
    """`PER_HOUR` with the prices of `--price INSTANCE=X` in it."""
    prices = dict(PER_HOUR)
    for value in values:
        instance, _, text = value.partition("=")
        try:
            price = float(text)
        except ValueError:
            price = -1.0
        if not instance or not 0 <= price < float("inf"):
            raise UsageError(
                f"--price {value}: expected INSTANCE=DOLLARS of an hour, e.g. --price ml.trn1.2xlarge=1.34"
            )
        prices[instance] = price
    return prices


def largest_bill(instance: str, instances: int, price: float | None, max_run_s: int) -> str:
    """What a training job may cost at most: AWS ends it after `max_run_s`, which all of its instances may run.

    Spot instances cost less, and what a job waits for them costs nothing.
    """
    limits = f"{max_run_s / HOUR_S:.4g} h (--max-run) x {instances} x {instance}"
    if price is None:
        return f"the largest bill is not known: {limits}, of which no price is known here; name it with --price"
    most = max_run_s / HOUR_S * instances * price
    return f"the largest bill is ${most:,.2f}: {limits} x ${price:g} an hour, on demand; storage is extra"
