"""Fits the constants of gpsimd::math (kernels/gpsimd/src/math) from scratch, with mpmath and numpy.

    python kernels/gpsimd/src/math/fit.py            prints them as they stand in the Rust sources
    python kernels/gpsimd/src/math/fit.py --check    compares them with the Rust sources, bit by bit

Every approximation has the form N(x) / (link N(x) + D(x)), N and D linear in their coefficients. The fit minimises the
largest error relative to the function that the approximation serves (Lawson's iteration on the linearised problem).
The coefficients are then rounded to f32 one at a time, and the free ones are fitted again after each, so that they
make up for the rounding of the fixed ones.
"""

import re
import sys
from itertools import zip_longest
from pathlib import Path

import mpmath as mp
import numpy as np

mp.mp.dps = 40
SOURCES = Path(__file__).resolve().parent


def f32(value):
    return float(np.float32(float(value)))


def nodes(low, high, count=800):
    """Chebyshev nodes: dense at the ends, where polynomials err most."""
    return low + (high - low) * (1 - np.cos(np.pi * (np.arange(count) + 0.5) / count)) / 2


def values(function, points):
    return np.array([float(function(mp.mpf(float(x)))) for x in points])


def powers(x, *exponents):
    """Basis functions, each with its coefficient: None while it is free."""
    return [[x**e, None] for e in exponents]


def one(x):
    """The denominator of a polynomial."""
    return [[np.ones_like(x), 1.0]]


def total(terms):
    return sum(basis * coefficient for basis, coefficient in terms if coefficient is not None)


def solve(numerator, denominator, target, link, weight):
    """The free coefficients that minimise max |approximation / target - 1| * weight, and that maximum."""
    fixed = total(denominator) - (1 / target - link) * total(numerator)
    free = [(t, t[0] * (1 / target - link)) for t in numerator if t[1] is None]
    free += [(t, -t[0]) for t in denominator if t[1] is None]
    matrix = np.stack([column for _, column in free], axis=1)
    size = abs(matrix).max(axis=0)
    emphasis, divisor, best, best_error = np.ones_like(target), np.ones_like(target), None, np.inf
    for _ in range(300):
        row = np.sqrt(emphasis) * weight / abs(divisor)
        found = np.linalg.lstsq(matrix / size * row[:, None], fixed * row, rcond=None)[0] / size
        trial = {id(term): c for (term, _), c in zip(free, found)}
        n, d = (sum(t[0] * trial.get(id(t), t[1]) for t in terms) for terms in (numerator, denominator))
        divisor = link * n + d
        error = abs(n / divisor / target - 1) * weight
        if error.max() < best_error:
            best, best_error = found, error.max()
        emphasis = emphasis * error
        emphasis = emphasis / emphasis.sum() + 1e-13
    return [(term, float(c)) for (term, _), c in zip(free, best)], best_error


def fit(name, numerator, denominator, target, link=0.0, weight=None):
    """Coefficients as f32: those of the numerator, then those of the denominator, low degrees first."""
    weight = np.ones_like(target) if weight is None else weight
    order = [t for pair in zip_longest(numerator, denominator) for t in pair if t is not None and t[1] is None]
    result = [t for t in numerator + denominator if t[1] is None]
    for i, term in enumerate(order):
        found, error = solve(numerator, denominator, target, link, weight)
        if i == 0:
            exact = error
        term[1] = f32(next(c for t, c in found if t is term))
    n = total(numerator)
    error = (abs(n / (link * n + total(denominator)) / target - 1) * weight).max()
    print(f"// {name}: relative error {exact:.1e}, {error:.1e} with f32 coefficients", file=sys.stderr)
    return [t[1] for t in result]


def best(low, high, error):
    """The f32 between the two that minimises an error with one minimum."""
    while np.float32(high) - np.float32(low) > 2 * np.spacing(np.float32(low)):
        left, right = low + (high - low) / 3, high - (high - low) / 3
        low, high = (low, right) if error(f32(left)) < error(f32(right)) else (left, high)
    return f32((low + high) / 2)


def head_and_tail(value):
    """A number as the sum of two f32."""
    return f32(value), f32(value - mp.mpf(f32(value)))


def exponential():
    _, log2_e_tail = head_and_tail(1 / mp.log(2))  # the head is core::f32::consts::LOG2_E
    x = nodes(-0.5, 0.5)
    power = fit("2^x", one(x) + powers(x, *range(1, 7)), one(x), 2.0**x)
    return {"LOG2_E_TAIL": [log2_e_tail], "POWER_OF_TWO": power}


def logarithm():
    f = nodes(-1 / 4, 1 / 2)
    quotient = values(lambda v: (mp.log1p(v) - v) / v**2, f)
    polynomial = powers(f, *range(9))
    polynomial[0][1] = -0.5
    weight = abs(quotient * f * f / np.log1p(f))
    log = fit("(log(1 + f) - f) / f^2", polynomial, one(f), quotient, weight=weight)
    log2 = fit("(log2(1 + f) - f log2(e)) / f^2", powers(f, *range(9)), one(f), quotient / np.log(2), weight=weight)
    return {"LOG": [-0.5, *log], "LOG2": log2}


def power():
    c = 2 / mp.log(2)
    q = nodes(0, 0.1716)
    rest = values(lambda v: (c * mp.atanh(v) / v - c - c / 3 * v**2) / v**4, q)
    quotient = fit("c (atanh(q) / q - 1 - q^2 / 3) / q^4", powers(q * q, *range(3)), one(q), rest, weight=rest * q**4)
    (head, tail), (third, third_tail) = head_and_tail(c), head_and_tail(c / 3)
    constants = {"TWO_LOG2_E": [head], "TWO_LOG2_E_TAIL": [tail], "THIRD": [third], "THIRD_TAIL": [third_tail]}
    return {**constants, "QUOTIENT": quotient}


def sine_and_cosine():
    r = nodes(0, 1)
    square = r * r
    cubic = values(lambda v: (mp.sin(v) - v) / v**3, r)
    sine = fit("(sin(r) - r) / r^3", powers(square, *range(4)), one(r), cubic, weight=abs(cubic) * r**3 / np.sin(r))
    quartic = values(lambda v: (mp.cos(v) - 1 + v**2 / 2) / v**4, r)
    weight = quartic * r**4 / np.cos(r)
    cosine = fit("(cos(r) - 1 + r^2 / 2) / r^4", powers(square, *range(4)), one(r), quartic, weight=weight)
    unit, unit_tail = head_and_tail(mp.pi / 2**31)
    # The words of 2/pi 2^-25 after the point: those of the smallest exponent begin with 24 zeros and the digit of 1.
    with mp.workprec(400):
        digits = int(mp.floor(2 / mp.pi * mp.mpf(2) ** (7 * 32 - 25)))
    words = [digits >> 32 * (6 - i) & 0xFFFF_FFFF for i in range(7)]
    return {"UNIT": [unit], "UNIT_TAIL": [unit_tail], "SINE": sine, "COSINE": cosine, "TWO_OVER_PI": words}


def exponential_less_1():
    head = mp.floor(mp.log(2) * 2**16) / 2**16  # n times this is exact
    r = nodes(-0.41, 0.41)
    quotient = values(lambda v: (mp.expm1(v) - v) / v**2, r)
    weight = quotient * r * r / abs(np.expm1(r))
    expm1 = fit("(e^r - 1 - r) / r^2", powers(r, *range(6)), one(r), quotient, weight=weight)
    return {"LN_2_HEAD": [f32(head)], "LN_2_TAIL": [f32(mp.log(2) - head)], "EXPM1": expm1}


def error_function():
    cut = 0.875
    x = nodes(0, cut)
    ratio = values(lambda v: mp.erf(v) / v, x)
    # The leading coefficient without its 1, which a fused multiply-add with x itself adds exactly.
    centre = fit("erf(x) / x", one(x) + powers(x * x, *range(6)), one(x), ratio)
    x = nodes(cut, 4)
    log2 = values(lambda v: mp.log(mp.erfc(v), 2), x)
    erfc = 2.0**log2
    weight = abs(log2) * np.log(2) * erfc / (1 - erfc)
    tail = fit("log2(erfc(x)) / x", powers(x, *range(6)), one(x), log2 / x, weight=weight)
    return {"CENTRE": centre, "TAIL": tail}


def hyperbolic_tangent():
    x = nodes(0, 0.65)
    s = x * x
    cubic = values(lambda v: (mp.tanh(v) - v) / v**3, x)
    numerator, denominator = powers(s, 0, 1), powers(s, 0, 1)
    denominator[0][1] = 1.0
    n0, n1, d1 = fit("(tanh(x) - x) / x^3", numerator, denominator, cubic, weight=s * abs(cubic) / (1 + s * cubic))
    return {"TWO_LOG2_E": [f32(2 / mp.log(2))], "NUMERATOR": [n0, n1], "DENOMINATOR": [d1]}


def normal_distribution():
    # e^(-t^2/2) is computed as 2^(-c t^2) with c an f32, exactly: what c lacks is part of the functions fitted.
    c = f32(0.5 / mp.log(2))
    grown = lambda t: mp.mpf(2) ** (mp.mpf(c) * t * t)
    t = nodes(0, 14.62)

    # t Phi(-t) / 2^(-c t^2) = N / (link N + D), N of degree 5 and D of degree 3: near sqrt(2 pi), the reciprocal of the
    # limit, is a link that makes up for the degree that D lacks.
    target = values(lambda v: v * mp.ncdf(-v) * grown(v), t)
    numerator, denominator = powers(t, *range(1, 6)), powers(t, *range(4))
    numerator[0][1], denominator[0][1] = 1.0, 2.0
    link = best(2.5066, 2.5067, lambda link: solve(numerator, denominator, target, link, np.ones_like(t))[1])
    gelu = fit("t Phi(-t) e^(t^2/2)", numerator, denominator, target, link)

    # (Phi(-t) - t phi(t)) / 2^(-c t^2) = (zero - t) (limit + M / Q), with a limit near 1 / sqrt(2 pi) likewise.
    derivative = lambda v: (mp.ncdf(-v) - v * mp.npdf(v)) * grown(v)
    zero = mp.findroot(derivative, 0.75)
    head, tail = head_and_tail(zero)
    slope = values(lambda v: derivative(v) / (zero - v), t)
    numerator, denominator = powers(t, *range(4)), powers(t, *range(5))
    denominator[0][1] = 1.0
    weight = lambda limit: abs(slope - limit) / slope
    limit = best(0.39893, 0.39895, lambda limit: solve(numerator, denominator, slope - limit, 0.0, weight(limit))[1])
    rest = fit("gelu'(-t) e^(t^2/2) / (zero - t)", numerator, denominator, slope - limit, weight=weight(limit))
    return {
        "HALF_LOG2_E": [c],
        "LINK": [link],
        "GELU_NUMERATOR": gelu[:4],
        "GELU_DENOMINATOR": gelu[4:],
        "ZERO": [head],
        "ZERO_TAIL_TIMES_SLOPE": [f32(tail * -mp.diff(derivative, zero))],
        "SLOPE_LIMIT": [limit],
        "SLOPE_NUMERATOR": rest[:4],
        "SLOPE_DENOMINATOR": rest[4:],
    }


def literal(value):
    """The shortest decimal that reads back as this f32, with its bits, in Rust's spelling; of an integer the bits alone."""
    if isinstance(value, int):
        return "", f"0x{value >> 16:04x}_{value & 0xFFFF:04x}"
    digits, _, exponent = str(np.float32(value)).partition("e")
    whole, _, fraction = digits.partition(".")
    fraction = "_".join(re.findall(".{1,3}", fraction or "0")) if len(fraction) > 3 else fraction or "0"
    bits = np.float32(value).view(np.uint32)
    return f"{whole}.{fraction}{'e' + str(int(exponent)) if exponent else ''}", f"0x{bits:08x}"


def read_sources(file):
    """Constants of one Rust source with the bits in their comments; the decimal must agree with the bits."""
    found = {}
    text = (SOURCES / file).read_text()
    for match in re.finditer(r"const (\w+): (?:f32 = (.*)|\[f32; \d+\] = \[\n((?:.*\n)*?)\];)", text):
        lines = [match[2]] if match[2] else match[3].splitlines()
        found[match[1]] = [
            tuple(re.fullmatch(r"\s*(\S+)[,;]\s+// (0x\w{8})", line).groups()) for line in lines if "// 0x" in line
        ]
    for match in re.finditer(r"const (\w+): \[u32; \d+\] =\s*\[([^\]]*)\];", text):
        found[match[1]] = [("", word) for word in re.findall(r"0x\w+", match[2])]
    return found


def main():
    fitted = {
        "exp.rs": exponential(),
        "expm1.rs": exponential_less_1(),
        "log.rs": logarithm(),
        "pow.rs": power(),
        "sine.rs": sine_and_cosine(),
        "erf.rs": error_function(),
        "tanh.rs": hyperbolic_tangent(),
        "gelu.rs": normal_distribution(),
    }
    differences = 0
    for file, constants in fitted.items():
        if "--check" not in sys.argv:
            print(f"\n// {file}")
        sources = read_sources(file) if "--check" in sys.argv else {}
        for name, numbers in constants.items():
            literals = [literal(number) for number in numbers]
            if "--check" in sys.argv:
                if sources.get(name) != literals:
                    differences += 1
                    print(f"{file}: {name}\n  fitted {literals}\n  source {sources.get(name)}")
            elif isinstance(numbers[0], int):
                print(f"const {name}: [u32; {len(literals)}] = [{', '.join(bits for _, bits in literals)}];")
            elif len(literals) == 1:
                print(f"const {name}: f32 = {literals[0][0]}; // {literals[0][1]}")
            else:
                print(f"const {name}: [f32; {len(literals)}] = [")
                print("".join(f"    {decimal}, // {bits}\n" for decimal, bits in literals) + "];")
    if "--check" in sys.argv:
        print(f"{differences} constants differ" if differences else "every constant is as fitted")
    return differences


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
