"""Pictures of results; each function draws on Matplotlib axes and returns them."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from isthmus.experiments import Comparison
from isthmus.explanation import Explanation
from isthmus.results import Result
from isthmus.scheduling import Schedule


def latency_cdf(results: Result | Sequence[Result], *, ax: Axes | None = None) -> Axes:
    """Draw the share of requests that were answered within a time.

    Parameters
    ----------
    results : Result or sequence of Result
        One curve each; warm-up requests are left out.
    ax : matplotlib.axes.Axes, optional
        Where to draw.
    """
    ax = ax or plt.subplots(figsize=(7, 4), layout="constrained")[1]
    for result in [results] if isinstance(results, Result) else results:
        frame = result.requests
        latency = np.sort(frame.loc[frame["counted"], "latency"].dropna())
        ax.step(latency, np.arange(1, len(latency) + 1) / max(len(latency), 1), label=result.name)
    ax.set(xlabel="latency / s", ylabel="share of requests", ylim=(0, 1), xscale="log")
    ax.grid(alpha=0.3)
    ax.legend()
    return ax


def comparison(found: Comparison, *, metric: str = "latency.p95", ax: Axes | None = None) -> Axes:
    """Draw one metric of all alternatives with 95 % intervals.

    Parameters
    ----------
    found : Comparison
        What :func:`isthmus.compare` returned.
    metric : str
        Name of the metric (docs/metrics.md).
    ax : matplotlib.axes.Axes, optional
        Where to draw.
    """
    ax = ax or plt.subplots(figsize=(7, 4), layout="constrained")[1]
    means, widths = found.table[metric], found.half_widths[metric]
    unit = found.data["alternatives"][0]["metrics"][metric]["unit"]
    ax.errorbar(means, list(means.index), xerr=widths.replace(np.inf, 0), fmt="o", capsize=4)
    ax.invert_yaxis()
    ax.set_xlabel(metric if unit == "1" else f"{metric} / {unit}")
    if means.min() > 0 and means.max() / means.min() > 20:
        ax.set_xscale("log")
    ax.grid(alpha=0.3)
    return ax


def timeline(
    result: Result,
    *,
    column: str = "queued",
    services: Sequence[str] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw a column of the interval samples (queued, running, ready_replicas, ...) over time.

    Parameters
    ----------
    result : Result
        The run.
    column : str
        Column of :attr:`isthmus.Result.intervals`.
    services : sequence of str, optional
        Names of the services to draw; default all.
    ax : matplotlib.axes.Axes, optional
        Where to draw.
    """
    ax = ax or plt.subplots(figsize=(7, 4), layout="constrained")[1]
    for service, rows in result.intervals.groupby("service", observed=True):
        if services is None or service in services:
            ax.step(rows["at"], rows[column], where="post", label=str(service))
    ax.set(xlabel="simulated time / s", ylabel=column.replace("_", " "))
    ax.grid(alpha=0.3)
    ax.legend()
    return ax


def roofline(found: Explanation, *, phase: int | str = 0, ax: Axes | None = None) -> Axes:
    """Draw the roofline of a device and where the operators of a model lie below it.

    Parameters
    ----------
    found : Explanation
        What :func:`isthmus.explain` returned.
    phase : int or str
        Number or name of the phase; language models have two, prefill and decode.
    ax : matplotlib.axes.Axes, optional
        Where to draw. Areas of the marks are proportional to the time of an operator.
    """
    ax = ax or plt.subplots(figsize=(7.5, 4.5), layout="constrained")[1]
    table = found.table(phase)
    table = table[(table["flops"] > 0) & (table["bytes"] > 0) & (table["time"] > 0)]
    data = found.data
    ridge = data["peak_flops"] / data["bandwidth"]
    edges = [*table["intensity"], ridge]
    x = np.geomspace(min(edges) / 3, max(edges) * 3, 200)
    for style, peak, bandwidth, label in (
        (":", data["peak_flops"], data["bandwidth"], "nominal"),
        ("-", data["compute_roof_flops"], data["bandwidth_roof"], "reached by large kernels"),
    ):
        ax.plot(x, np.minimum(peak, bandwidth * x), style, color="black", lw=1, label=label)
    share = table["time"] / table["time"].sum()
    for kind, rows in table.groupby("kind", sort=False):
        ax.scatter(
            rows["intensity"],
            rows["flops"] / rows["time"],
            s=12 + 600 * share[rows.index],
            alpha=0.6,
            label=f"{kind} ({share[rows.index].sum():.0%})",
        )
    ax.set(
        xscale="log",
        yscale="log",
        xlabel="arithmetic intensity / (FLOP/B)",
        ylabel="rate / (FLOP/s)",
        title=f"{data['model']} ({data['variant']}) on {data['device']}: "
        + found.phases[found.index(phase)],
    )
    ax.grid(alpha=0.3)
    entries = ax.get_lines() + [
        Line2D([], [], ls="", marker="o", color=m.get_facecolor()[0], label=m.get_label())
        for m in ax.collections
    ]
    ax.legend(handles=entries, fontsize="small", loc="lower right")
    return ax


# By kind of operator, as in the SVG pictures; Okabe and Ito's palette first.
_KIND_COLOURS = dict(
    zip(
        (
            "input conv depthwise_conv gemm batched_gemm attention elementwise pool norm softmax "
            "embedding copy"
        ).split(),
        (
            "#0072b2 #56b4e9 #009e73 #e69f00 #d55e00 #cc79a7 #999999 #b5a400 #7a5195 #8c564b "
            "#4c9f70 #5b6b7a"
        ).split(),
        strict=True,
    )
)


def _time_unit(seconds: float) -> tuple[str, float]:
    for name, per_second, limit in (("ns", 1e9, 1e-6), ("µs", 1e6, 1e-3), ("ms", 1e3, 1.0)):
        if seconds < limit:
            return name, per_second
    return "s", 1.0


def gantt(found: Schedule, *, ax: Axes | None = None) -> Axes:
    """Draw who works on which operator when.

    Parameters
    ----------
    found : Schedule
        What :func:`isthmus.schedule` returned.
    ax : matplotlib.axes.Axes, optional
        Where to draw. Red edges above bars mark the chain that decides the end, lines are tensors
        that go to another unit, the grey band is the framework.
    """
    units, operators = found.units, found.operators
    first = dict(zip(units.index, np.cumsum([0, *units["lanes"]])[:-1], strict=True))
    lanes = int(units["lanes"].sum())
    if ax is None:
        size = (min(24.0, 9 + 0.03 * len(operators)), 1.8 + 0.75 * lanes)
        ax = plt.subplots(figsize=size, layout="constrained")[1]
    name, per_second = _time_unit(found.makespan)
    start, end = operators["start"] * per_second, operators["end"] * per_second
    row = operators["unit"].map(first) + operators["lane"]
    # Without edges where bars are narrow: edges would hide their colours.
    pixel = found.makespan * per_second / (ax.figure.get_figwidth() * ax.figure.dpi)
    for kind, rows in operators.groupby("kind", sort=False):
        length = (end - start)[rows.index]
        ax.barh(
            row[rows.index],
            length,
            left=start[rows.index],
            height=0.6,
            color=_KIND_COLOURS[kind],
            edgecolor=ax.get_facecolor(),
            linewidth=np.where(length > 3 * pixel, 0.5, 0),
            label=kind,
        )
    hot = operators["critical"].to_numpy()
    ax.hlines(
        row[hot] - 0.36, start[hot], end[hot], color="#b00020", lw=2.5, label="decides the end"
    )
    for t in found.transfers.itertuples():
        ax.plot(
            [t.start * per_second, t.end * per_second],
            [first[t.from_unit] + t.from_lane, first[t.to_unit] + t.to_lane],
            color="#b00020" if t.critical else "0.5",
            lw=1.2 if t.critical else 0.5,
            zorder=0.5,
        )
    ax.axvspan(0, found.data["overhead"] * per_second, color="0.5", alpha=0.2, lw=0)
    labels = [
        unit if lane == 0 else "" for unit, row in units.iterrows() for lane in range(row["lanes"])
    ]
    shares = dict(units["share"])
    ax.set_yticks(range(lanes), [f"{u}\n{shares[u]:.0%} busy" if u else "" for u in labels])
    ax.set(
        xlim=(0, found.makespan * per_second * 1.01),
        ylim=(lanes - 0.4, -0.6),
        xlabel=f"time / {name}",
        title=f"{found.data['model']} ({found.data['variant']}), batch {found.data['batch']}, on "
        f"{found.data['device']} by {found.data['scheduler']}",
    )
    ax.grid(axis="x", alpha=0.3)
    ax.set_axisbelow(True)
    ax.legend(
        fontsize="small", ncols=6, loc="upper center", bbox_to_anchor=(0.5, -0.18 / lanes - 0.1)
    )
    return ax


def operators(
    result: Result,
    *,
    group: str | None = None,
    node: int = 0,
    start: float = 0.0,
    end: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw which operators ran on the units of a node, in the colours of their services.

    Parameters
    ----------
    result : Result
        A run with ``results.operators``.
    group, node : str, int
        Node group (default: that of the first operator) and node within it.
    start, end : float
        Window of simulated time, s; by default until 500 operators have been drawn.
    ax : matplotlib.axes.Axes, optional
        Where to draw.
    """
    frame = result.operators
    if frame.empty:
        raise ValueError('no operator ran; only services with "units" run operators')
    group = group or str(frame["group"].iloc[0])
    frame = frame[(frame["group"] == group) & (frame["node"] == node)]
    lanes = [str(lane) for lane in frame["lane"].cat.categories if (frame["lane"] == lane).any()]
    frame = frame[frame["end"] > start]
    frame = frame.head(500) if end is None else frame[frame["start"] < end]
    if frame.empty:
        raise ValueError(f"nothing ran on node {node} of {group!r} in the window")
    ax = ax or plt.subplots(figsize=(12, 1.5 + 0.6 * len(lanes)), layout="constrained")[1]
    for number, service in enumerate(frame["service"].cat.categories):
        rows = frame[frame["service"] == service]
        if not rows.empty:
            ax.barh(
                [lanes.index(lane) for lane in rows["lane"]],
                rows["end"] - rows["start"],
                left=rows["start"],
                height=0.7,
                color=f"C{number}",
                label=service,
            )
    ax.set_yticks(range(len(lanes)), lanes)
    ax.set(
        xlim=(start if end is not None else frame["start"].min(), end or frame["end"].max()),
        ylim=(len(lanes) - 0.5, -0.5),
        xlabel="simulated time / s",
        title=f"{group}, node {node}",
    )
    ax.ticklabel_format(axis="x", useOffset=False)
    ax.grid(axis="x", alpha=0.3)
    ax.set_axisbelow(True)
    ax.legend(fontsize="small")
    return ax


def _draw_samples(
    ax: Axes, frame: pd.DataFrame, column: str, *, color: str, label: str | None = None
) -> None:
    stretches, samples = 500, len(frame)
    if samples <= 4 * stretches:
        ax.step(frame["at"], frame[column], where="pre", lw=1, color=color, label=label)
        return
    groups = frame.groupby(np.arange(samples) * stretches // samples)
    at, values = groups["at"].mean(), groups[column]
    ax.fill_between(at, values.min(), values.max(), color=color, alpha=0.25, lw=0)
    ax.plot(at, values.mean(), color=color, lw=1.2, label=label)


def power(
    result: Result,
    *,
    group: str | None = None,
    node: int = 0,
    axes: Sequence[Axes] | None = None,
) -> list[Axes]:
    """Draw power, temperature and clock of a node over time.

    Long traces are drawn as means of 500 stretches, with their least and largest values as shades.

    Parameters
    ----------
    result : Result
        A run whose nodes have power traces.
    group, node : str, int
        Node group (default: that of the first sample) and node within it.
    axes : three matplotlib.axes.Axes, optional
        Where to draw power, temperature and the clock beside the busy share.
    """
    frame = result.node_samples
    if frame.empty:
        raise ValueError("the run has no samples of nodes; give a node group a power trace")
    group = group or str(frame["group"].iloc[0])
    frame = frame[(frame["group"] == group) & (frame["node"] == node)]
    if frame.empty:
        raise ValueError(f"there are no samples of node {node} of {group!r}")
    if axes is None:
        axes = plt.subplots(3, 1, sharex=True, figsize=(9, 6), layout="constrained")[1]
    watts, heat, clock = axes
    _draw_samples(watts, frame, "power", color="C0")
    watts.set(ylabel="power / W", ylim=(0, None), title=f"{group}, node {node}")
    _draw_samples(heat, frame, "temperature", color="C3")
    heat.set(ylabel="temperature / °C")
    _draw_samples(clock, frame, "busy", color="0.6", label="busy share")
    _draw_samples(clock, frame, "speed", color="C2", label="clock")
    clock.set(ylabel="share of the highest", xlabel="simulated time / s", ylim=(0, 1.05))
    clock.legend(fontsize="small", loc="lower right")
    for ax in axes:
        ax.grid(alpha=0.3)
    return list(axes)
