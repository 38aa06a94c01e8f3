"""Nanoseconds an element of PyTorch's functions, on the inputs of math.rs, by one thread.

PyTorch computes most of them by sleef's functions of at most 1 ulp ("u10") for the vectors of the CPU. The time of a
call is taken away: what is printed is the slope from 16 KiB to 64 KiB of operand.
"""

import time

import torch

torch.set_num_threads(1)

RANGES = {
    "exp": (-10, 10),
    "exp2": (-10, 10),
    "expm1": (-2, 2),
    "log": (0.01, 100),
    "log2": (0.01, 100),
    "log1p": (-0.9, 10),
    "sigmoid": (-10, 10),
    "sin": (-100, 100),
    "cos": (-100, 100),
    "tanh": (-5, 5),
    "erf": (-3, 3),
    "rsqrt": (0.01, 100),
}


def least_time(function):
    """The least of many times of a call."""

    def run():
        start = time.perf_counter()
        for _ in range(100):
            function()
        return (time.perf_counter() - start) / 100

    return min(run() for _ in range(200))


def measure(name, function, low, high):
    """Prints a function's time on operands from low to high."""
    times = []
    for count in (4096, 16384):
        x = low + (high - low) * torch.rand(count)
        y = torch.empty_like(x)
        times.append(least_time(lambda x=x, y=y: function(x, y)))
    print(f"{name:16} {(times[1] - times[0]) / (16384 - 4096) * 1e9:.3f}")


print(f"{'':16} ns an element, by {torch.backends.cpu.get_cpu_capability()}")
for name, (low, high) in RANGES.items():
    function = getattr(torch, name)
    measure(name, lambda x, y, function=function: function(x, out=y), low, high)
exponents = {n: torch.full((n,), 2.5) for n in (4096, 16384)}
measure("pow", lambda x, y: torch.pow(x, exponents[len(x)], out=y), 0.01, 64)
measure("dropout", lambda x, y: torch.nn.functional.dropout(x, 0.1), 0, 1)
measure("normal", lambda x, y: y.normal_(), 0, 1)
