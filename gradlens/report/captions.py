"""One sentence a figure: what is seen in it, read from its table."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd

from gradlens.numbers import format_cell as shown
from gradlens.plots import order
from gradlens.plots.flow import fitted_slope, is_live

CANCEL, AGREE = 0.9, 1.1  # coherence: below, branches cancel; above, they add up


def seen(name: str, frame: pd.DataFrame) -> str:
    """What the figure of table ``name`` shows, or an empty string where there is nothing to say."""
    return SENTENCES[name](frame) if name in SENTENCES and not frame.empty else ""


def _networks(frame: pd.DataFrame) -> Iterable[tuple[str, pd.DataFrame]]:
    return ((name, order.of_network(frame, name)) for name in order.networks(frame))


def _join(clauses: Iterable[str]) -> str:
    text = "; ".join(clause for clause in clauses if clause)
    return text + "." if text else ""


def _stage(name: object) -> str:
    return f"stride {name}" if str(name).isdigit() else str(name)


def _duplication(frame: pd.DataFrame) -> str:
    def clause(network: str, rows: pd.DataFrame) -> str:
        rows = rows.assign(stage=rows["stage"].astype(str))
        mean = rows.groupby(["version", "stage"], sort=False)["duplication"].mean()
        energy = mean.get("energy", pd.Series(dtype=float)).dropna()
        if energy.empty:
            return f"{network} has no stage with two live signals"
        parts = energy.drop("whole", errors="ignore")
        text = network
        if "whole" in energy:
            text += f": D = {shown(energy['whole'])} over the whole network"
        given = mean.get(("energy given loss", "whole"), np.nan)
        if np.isfinite(given):
            text += f" ({shown(given)} given the loss)"
        if len(parts) > 1:
            text += (
                f", highest at {_stage(parts.idxmax())} ({shown(parts.max())})"
                f" and lowest at {_stage(parts.idxmin())} ({shown(parts.min())})"
            )
        return text

    return _join(clause(*pair) for pair in _networks(frame))


def _correlation(frame: pd.DataFrame) -> str:
    def clause(network: str, rows: pd.DataFrame) -> str:
        live = rows.dropna(subset=["energy"])
        if live.empty:
            return f"{network} has no two live signals"
        same = live["stage_a"].astype(str) == live["stage_b"].astype(str)
        text = f"{network}: mean CKA {shown(live['energy'].mean())} over {len(live)} pairs of signals"
        if same.any() and not same.all():
            within, across = live.loc[same, "energy"].mean(), live.loc[~same, "energy"].mean()
            text += f", {shown(within)} within a stage and {shown(across)} across stages"
        return text

    return _join(clause(*pair) for pair in _networks(frame))


def _cross(frame: pd.DataFrame) -> str:
    def clause(a: str, b: str, rows: pd.DataFrame) -> str:
        live = rows.dropna(subset=["energy"])
        if live.empty:
            return f"no two layers of {a} and {b} have a value"
        best = live.loc[live.groupby("order_a")["energy"].idxmax()]
        same = best["stage_a"].astype(str) == best["stage_b"].astype(str)
        return (
            f"the layer of {b} most similar to one of {a} stands in the same stage for {int(same.sum())} of"
            f" {len(best)} layers; mean CKA {shown(live['energy'].mean())} over all pairs"
        )

    pairs = frame.groupby(["network_a", "network_b"], sort=False)
    text = _join(clause(str(names[0]), str(names[1]), rows) for names, rows in pairs)
    return text[:1].upper() + text[1:]


def _branches(frame: pd.DataFrame) -> str:
    def clause(network: str, rows: pd.DataFrame) -> str:
        live = rows.dropna(subset=["energy"])
        if live.empty:
            return f"no pair of branches of {network} has a value"
        top = live.iloc[int(live["energy"].argmax())]
        given = live["energy_given_loss"].median()
        return (
            f"{network}: median CKA {shown(live['energy'].median())} between branches"
            f" ({shown(given)} given the loss), highest at {top['site']}"
            f" ({top['branch_a']} and {top['branch_b']}, {shown(float(top['energy']))})"
        )

    return _join(clause(*pair) for pair in _networks(frame))


def _shares(frame: pd.DataFrame) -> str:
    def clause(network: str, rows: pd.DataFrame) -> str:
        mean = rows.groupby("branch", sort=False)["share"].mean().dropna()
        named = [f"{name} {value:.0%}" for name, value in mean.items()] if len(mean) <= 6 else []
        value = rows.drop_duplicates(["stage", "site", "where"])["coherence"].dropna()
        add, cancel = int((value > AGREE).sum()), int((value < CANCEL).sum())
        text = f"{network}: " + (f"mean share of the energy {', '.join(named)}; " if named else "")
        return text + (
            f"of {len(value)} sites the branches add up at {add} (coherence above {AGREE})"
            f" and cancel at {cancel} (below {CANCEL})"
        )

    return _join(clause(*pair) for pair in _networks(frame))


def _flow(frame: pd.DataFrame) -> str:
    def clause(network: str, rows: pd.DataFrame) -> str:
        live = rows[is_live(rows)]
        dead = len(rows) - len(live)
        slope, _ = fitted_slope(live["depth"].to_numpy(float), live["rms"].to_numpy(float))
        if np.isfinite(slope):
            way = "grows from the input to the loss" if slope > 0 else "falls from the input to the loss"
            text = f"{network}: the gradient {way} by {shown(abs(slope))} decades a layer"
            text += f" ({shown(live['rms'].min())} to {shown(live['rms'].max())} RMS)"
        else:
            text = f"{network}: too few live signals for a slope"
        return text + (f", and {dead} of {len(rows)} signals are dead" if dead else "")

    return _join(clause(*pair) for pair in _networks(frame))


def _structure(frame: pd.DataFrame) -> str:
    def clause(network: str, rows: pd.DataFrame) -> str:
        whole = rows[rows["stage"].astype(str) == "whole"].iloc[0]
        text = f"{network}: two layers of the network share {shown(float(whole['structural_duplication']))} of their"
        text += f" sources on average, {whole['timestamp_combinations']} combinations of timestamps in"
        return text + f" {whole['layers']} layers"

    return _join(clause(*pair) for pair in _networks(frame))


def _paths(frame: pd.DataFrame) -> str:
    def clause(network: str, rows: pd.DataFrame) -> str:
        first = rows.iloc[0]
        text = f"{network}: {_count(int(first['paths']))} paths lead from the loss to {first['layer']}, of"
        text += f" {first['shortest']} to {first['longest']} layers, {first['mean_length']:.1f} on average"
        if np.isfinite(first["effective_length"]):
            text += f" and {first['effective_length']:.1f} weighted by energy"
        return text

    return _join(clause(*pair) for pair in _networks(frame))


def _count(value: int) -> str:
    return str(value) if value < 10**6 else f"{value:.2e}".replace("e+", "e")


def _path_lengths(frame: pd.DataFrame) -> str:
    def clause(network: str, rows: pd.DataFrame) -> str:
        first = rows[rows["order"] == rows["order"].min()]
        if first["energy_share"].isna().all():
            return f"{network}: the energy along the paths is not known"
        top = first.loc[first["energy_share"].idxmax()]
        common = first.loc[first["share"].idxmax()]
        return (
            f"{network}: most energy comes along paths of {top['length']} layers ({top['energy_share']:.0%}), most"
            f" paths have {common['length']} ({common['share']:.0%})"
        )

    return _join(clause(*pair) for pair in _networks(frame))


def _reuse(frame: pd.DataFrame) -> str:
    def clause(network: str, rows: pd.DataFrame) -> str:
        readers = rows.groupby("layer")["source"].nunique()
        several = rows[rows["layer"].isin(readers[readers > 1].index)]
        nearest = several.loc[several.groupby("layer")["order_source"].idxmax()]
        share = nearest["share"].mean()
        return (
            f"{network}: {int((readers > 1).sum())} layers read several sources; the nearest source has"
            f" {share:.0%} of the energy of their weights' gradient on average"
        )

    return _join(clause(*pair) for pair in _networks(frame))


def _cost(frame: pd.DataFrame) -> str:
    def clause(network: str, rows: pd.DataFrame) -> str:
        rows = rows.set_index(rows["stage"].astype(str))
        parts, text = rows.drop("whole", errors="ignore")["flops"].astype(float).dropna(), network
        if "whole" in rows.index:
            whole = rows.loc[["whole"]].iloc[0]
            text += f": {shown(float(whole['flops']), 'flops')} FLOPs per image"
            text += f" and {shown(float(whole['parameters']), 'parameters')} parameters"
        if parts.sum() > 0:
            text += f", most FLOPs at {_stage(parts.idxmax())} ({parts.max() / parts.sum():.0%})"
        return text

    return _join(clause(*pair) for pair in _networks(frame))


def _throughput(frame: pd.DataFrame) -> str:
    def clause(network: str, rows: pd.DataFrame) -> str:
        speeds = [
            f"{shown(float(speed))} images a second {name}"
            for name, speed in zip(rows["pass"], rows["images_per_second"], strict=True)
        ]
        return f"{network}: {', '.join(speeds)}"

    return _join(clause(*pair) for pair in _networks(frame))


def _exactness(frame: pd.DataFrame) -> str:
    worst = frame["error"].max()
    text = f"At {len(frame)} forks the contributions add up to the accumulated gradient"
    text += " bit for bit" if worst == 0 else f" to within {shown(float(worst))} relative"
    return _join([text + f" (projected, on every batch: {shown(float(frame['projected_error'].max()))})"])


def _strategies(frame: pd.DataFrame) -> str:
    whole = frame[frame["stage"].astype(str) == "whole"].set_index("network")
    parts = []
    for name, row in whole.iterrows():
        text = f"{name}: D = {shown(float(row['duplication']))}"
        if np.isfinite(row.get("duplication_given_loss", np.nan)):
            text += f" ({shown(float(row['duplication_given_loss']))} given the loss)"
        if np.isfinite(row.get("flops", np.nan)):
            text += f" at {shown(float(row['flops']), 'flops')} FLOPs per image"
        if np.isfinite(row.get("accuracy", np.nan)):
            text += f", {row['accuracy']:.1%} right on held-out samples"
        parts.append(text)
    return _join(parts)


def _differences(frame: pd.DataFrame) -> str:
    whole = frame[frame["stage"].astype(str) == "whole"]
    told = []
    for metric, rows in whole.groupby("metric", sort=False):
        clear = rows[rows["p_holm"] < 0.05]
        name = str(metric).replace("_", " ")
        told.append(f"{name}: {len(clear)} of {len(rows)} pairs differ after Holm's correction")
    return _join(told)


def _trajectory(frame: pd.DataFrame) -> str:
    def clause(network: str, rows: pd.DataFrame) -> str:
        mean = rows.groupby("step")["duplication"].mean()
        text = f"{network}: D from {shown(float(mean.iloc[0]))} to {shown(float(mean.iloc[-1]))}"
        if "accuracy" in rows and rows["accuracy"].notna().any():
            accuracy = rows.groupby("step")["accuracy"].mean()
            text += f", accuracy from {accuracy.iloc[0]:.1%} to {accuracy.iloc[-1]:.1%}"
        return text + f" in {mean.index[-1]} steps"

    return _join(clause(*pair) for pair in _networks(frame))


def _learning(frame: pd.DataFrame) -> str:
    own = frame[(frame["coefficient"] == "pearson") & frame["value"].notna()]
    return _join(
        f"{str(row['metric']).replace('_', ' ')} and accuracy over {row['over']}: r = {row['value']:+.2f},"
        f" 95 % interval {row['low']:+.2f} to {row['high']:+.2f}"
        for _, row in own.iterrows()
    )


SENTENCES: dict[str, Callable[[pd.DataFrame], str]] = {
    "networks": _strategies,
    "contrasts": _differences,
    "strategies": _strategies,
    "differences": _differences,
    "trajectory": _trajectory,
    "learning": _learning,
    "duplication": _duplication,
    "correlation": _correlation,
    "cross": _cross,
    "branches": _branches,
    "shares": _shares,
    "flow": _flow,
    "reuse": _reuse,
    "structure": _structure,
    "paths": _paths,
    "path_lengths": _path_lengths,
    "cost": _cost,
    "throughput": _throughput,
    "exactness": _exactness,
}
