"""The comparison as bars: one panel per quantity, one bar per row, published rows in grey."""

import warnings
from pathlib import Path

from gpsimd_bert.atomic import replacing

from .errors import UsageError
from .options import say
from .results import Result

# Title, unit on the axis, value of a run, digits beside the bar.
PANELS = (
    ("throughput", "steps per second", "throughput_it_s", 2),
    ("validation accuracy", "share of reviews classified rightly", "validation_accuracy", 3),
    ("billable time", "seconds", "billable_s", 0),
    ("training cost", "US dollars", "training_cost_usd", 2),
)
OURS, PUBLISHED = "#2f6f9f", "#b5b5b5"


def draw(rows: list[Result], path: Path) -> None:
    """Writes the chart; the suffix of `path` says whether as PNG or SVG. The file is complete or not there."""
    try:
        import matplotlib
    except ImportError as error:
        raise UsageError("--chart needs matplotlib: `python -m pip install 'gpsimd_bert[sagemaker]'`") from error
    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    # Text of an SVG as text, and the same bytes each time.
    with plt.rc_context({"svg.fonttype": "none", "svg.hashsalt": "gpsimd", "font.size": 9}):
        figure, axes = plt.subplots(
            2, 2, figsize=(11, 1.6 + 1.1 * max(2, len(rows))), sharey=True, layout="constrained"
        )
        names = [_name(run) for run in rows]
        colours = [PUBLISHED if run.published else OURS for run in rows]
        for axis, (title, unit, value, digits) in zip(axes.flat, PANELS, strict=True):
            values = [getattr(run, value) for run in rows]
            axis.barh(range(len(rows)), [known or 0 for known in values], color=colours, height=0.6)
            for position, known in enumerate(values):
                text = "not known" if known is None else f"{known:,.{digits}f}"
                if value == "training_cost_usd" and rows[position].published_cost_usd is not None:
                    text += f" ({rows[position].published_cost_usd:.2f} in the post)"
                axis.annotate(text, (known or 0, position), xytext=(4, 0), textcoords="offset points", va="center")
            axis.set_title(title, loc="left", fontweight="bold")
            axis.set_xlabel(unit)
            # Dollar signs of a model's name are no formula.
            axis.set_yticks(range(len(rows)), names, parse_math=False)
            axis.set_xlim(0, 1.2 * max((known or 0 for known in values), default=0) or 1)
            axis.spines[["top", "right"]].set_visible(False)
        axes[0, 0].invert_yaxis()
        figure.legend(
            handles=[
                plt.Rectangle((0, 0), 1, 1, color=OURS, label="these runs"),
                plt.Rectangle((0, 0), 1, 1, color=PUBLISHED, label="published by AWS"),
            ],
            loc="outside lower right",
            ncols=2,
            frameon=False,
        )
        metadata = {"Date": None} if path.suffix == ".svg" else {}
        with replacing(path) as partial, warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            figure.savefig(partial, format=path.suffix[1:], dpi=150, metadata=metadata)
        if any("missing from font" in str(warning.message) for warning in caught):
            say("note: the chart's font lacks characters of a name")
        plt.close(figure)


def _name(run: Result) -> str:
    ops = "" if run.ops == "-" else f", {run.ops} ops"
    return f"{run.model}{ops}\n{run.machine}"
