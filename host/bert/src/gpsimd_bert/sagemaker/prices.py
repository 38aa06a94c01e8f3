"""What an hour of an instance costs, and the published results to compare with."""

from .errors import UsageError

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
