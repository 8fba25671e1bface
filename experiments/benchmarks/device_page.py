"""The page of the device benchmark, from results that can be incomplete."""

from collections.abc import Mapping
from typing import Any

from sbp_jax.reporting.tables import records_table
from sbp_jax.runs import provenance

TITLE = "Speed and correctness on an accelerator"
Result = Mapping[str, Any]
FAILED_SHOWN = 40

SUMMARY = """
part | status | seconds | peak on the device, GiB | peak on the host, GiB
{part} | {status} | {seconds:.0f} | {device} | {host}
"""
LIKELIHOOD = """
rows: work | ms | MB, at least | MB, XLA | GB/s | share of the copy
{rows:,}: {work} | {ms:.4f} | {mb:,.1f} | {xla_mb:,.1f} | {gb_per_s:,.0f} | {share_of_copy:.0%}
"""
METRICS = """
compute | NLL, nats | CRPS, yd | MAE, yd | PP error | training, s | first epoch, s
{compute} | {nll:.4f} | {crps:.4f} | {mae:.4f} | {pp[full]:.4f} | {seconds:.1f} | {first_epoch_s:.1f}
"""
SPEED = """
plays per step | float32, plays/s | bfloat16, plays/s | ratio
{batch_size:,} | {float32:,.0f} | {bfloat16:,.0f} | {ratio:.2f}
"""
SWEEP = "way | ms per step of all | plays/s\n{way} | {ms:.2f} | {plays_per_s:,.0f}"
LATENCY = """
work | plays | median, ms | 99th percentile, ms | frames/s
{work} | {plays} | {median_ms:.3f} | {p99_ms:.3f} | {frames_per_s:,.0f}
"""
FRESH = """
fresh process on | import, s | load, s | first frame, ms | median frame, ms | process, s
{platform} | {import_s:.1f} | {load_s:.1f} | {first_frame_ms:.3f} | {median_frame_ms:.3f} | {process_s:.1f}
"""
DIFFERENCES = "scorer | yards\n{scorer} | {largest_yards:.1e}"
FAILED = "test that failed | error\n`{test}` | {reason}"


def page(results: Result) -> str:
    """Return the results as Markdown: the device, a summary, and a section for each part."""
    command = provenance.command_line("experiments.benchmark", results["words"])
    machine = results["machine"]
    blocks = [f"# {TITLE}", f"`{command}`"]
    blocks += [provenance.sentence(machine)] if machine else ["No part has described the machine."]
    if results["smoke"]:
        blocks.append("**Tiny sizes (`--smoke`): the numbers show that everything runs, and nothing else.**")
    elif machine and machine["device"] == "cpu":
        blocks.append("**Measured on a CPU: the page is meant for an accelerator.**")
    blocks.append(_summary(results))
    for part, record in results["parts"].items():
        title, section = SECTIONS[part]
        blocks.append(f"## {title}")
        if record["status"] != "done":
            blocks.append(f"**{status(record)}**")
        if record.get("result"):
            blocks += section(record["result"])
    return "\n\n".join(blocks) + "\n"


def status(record: Result) -> str:
    """Return one line on the status of a part."""
    seconds = f" after {record['seconds']:.0f} seconds" if "seconds" in record else ""
    reason = f": {record['reason']}" if "reason" in record else ""
    return f"{record['status']}{seconds}{reason}"


def _summary(results: Result) -> str:
    rows = [{"part": part, "seconds": None} | record for part, record in results["parts"].items()]
    for row in rows:
        for place in ("device", "host"):
            peak = row.get(f"{place}_peak_bytes")
            row[place] = "not counted" if peak is None else f"{peak / 2**30:.2f}"
    table = records_table(SUMMARY, rows)
    return f"Each part runs in its own process; all parts together have {results['budget_s']:.0f} seconds.\n\n{table}"


def _likelihood(result: Result) -> list[str]:
    megabytes = {"bytes": "mb", "xla_bytes": "xla_mb"}
    rows = [
        row | {mb: None if row[name] is None else row[name] / 1e6 for name, mb in megabytes.items()}
        for row in result["rows"]
    ]
    return [
        f"Log-likelihood of the Spliced Binned-Pareto distribution with {result['bins']} bins, float32. Bytes are the "
        "lower bound of what must move: every input read once and every output written once (for the gradient: logits, "
        "shapes, scales and outcomes in; the loss and the derivatives in logits, shapes and scales out). `XLA` is the "
        "compiler's own count of bytes accessed. The copy is `x + 1` of a large array; shares are relative to its "
        "rate, in turn in one process. Calls are dispatched without waiting; an empty program shows the dispatch cost. "
        "Arrays that fit into the device's cache can exceed the copy.",
        records_table(LIKELIHOOD, rows),
    ]


def _training(result: Result) -> list[str]:
    blocks = [
        f"The default network on {result['plays']:,} synthetic plays of {result['frames']} frames whose outcomes "
        f"depend on them, {result['epochs']} epochs from the same seed and in the same order of plays; metrics on "
        f"{result['held_out']:,} held-out plays. Parameters, raw outputs and distribution are float32 in both. "
        f"A float32 matrix product in JAX's default precision has a relative error of {result['product_error']:.0e} "
        f"here (jax_default_matmul_precision: {result['precision'] or 'default'})."
    ]
    if result.get("metrics"):
        blocks.append(records_table(METRICS, result["metrics"]))
    if result.get("differences"):
        text = ", ".join(
            f"{name.upper()} {each['mean']:+.5f} (standard error {each['standard_error']:.5f})"
            for name, each in result["differences"].items()
        )
        blocks.append(f"bfloat16 - float32, paired by play: {text}.")
    if result.get("speed"):
        blocks.append("Complete epochs in turn in one process, after compilation; medians.")
        rates = [(row, row["plays_per_s"]) for row in result["speed"]]
        rows = [row | rate | {"ratio": rate["bfloat16"] / rate["float32"]} for row, rate in rates]
        blocks.append(records_table(SPEED, rows))
    return blocks


def _epochs(result: Result) -> list[str]:
    if not result["epochs"]:
        return [f"Statistics and transfer {result['setup_s']:.1f} s; the epochs did not finish."]
    seconds = result["epoch_s"]
    verdict = "under" if result["seconds"] < result["target_s"] else "not under"
    return [
        f"{result['plays']:,} synthetic plays of {result['frames']} frames, {result['epochs']} epochs of the default "
        f"network in float32 in batches of {result['batch_size']}, half of the plays reflected, with "
        f"{result['validation']:,} validation plays after every epoch: **{result['seconds']:.1f} seconds** from plays "
        f"in memory to parameters, {verdict} the target of {result['target_s']:.0f}. Statistics and transfer "
        f"{result['setup_s']:.1f} s; first epoch with compilation {seconds[0]:.1f} s; then "
        f"{result['plays_per_s']:,.0f} plays/s (median epoch)."
    ]


def _sweep(result: Result) -> list[str]:
    firsts = {"together": "as one program", "single": "for one member", "others": "for all others, compiled in threads"}
    times = [
        f"{result[f'{name}_first_s']:.1f} s {what}" for name, what in firsts.items() if f"{name}_first_s" in result
    ]
    blocks = [
        f"{result['members']} members that differ in seed, learning rate, tail masses and number of bins; batches of "
        f"{result['batch_size']} plays of {result['frames']} frames, {result['steps']} steps per call. First call with "
        f"compilation: {', '.join(times)}."
    ]
    if result.get("rows"):
        blocks.append(records_table(SWEEP, result["rows"]))
        blocks.append(f"As one program the sweep is {result['ratio']:.1f} times as fast.")
    return blocks


def _live(result: Result) -> list[str]:
    blocks = [
        "From a frame of a play to its quantiles, expectation and probabilities; the host waits for each. "
        f"Exported for {result['platform']}"
        + (f" in {result['export_s']:.1f} s" if "export_s" in result else " (not finished)")
        + (f", loaded in {result['load_s']:.1f} s with compilation." if "load_s" in result else "."),
        records_table(LATENCY, result["latency"]),
    ]
    if result.get("fresh"):
        blocks.append(records_table(FRESH, result["fresh"]))
    if result.get("differences"):
        frames = result["frames"]
        blocks.append(f"Largest difference of quantiles and expectations from this process, {frames} frames of a play.")
        blocks.append(records_table(DIFFERENCES, result["differences"]))
    return blocks


def _tests(result: Result) -> list[str]:
    folders = ", ".join(f"`{each}`" for each in result["tests"])
    missing = f" Not installed here: {', '.join(result['missing'])}." if result["missing"] else ""
    if not result.get("counts"):
        return [f"{folders} without the slow tests: no outcome.{missing}"]
    counts = ", ".join(f"{count} {outcome}" for outcome, count in result["counts"].items())
    ended = "" if result["ended"] else " The time was over before the last test."
    blocks = [f"{folders} without the slow tests: **{counts}** in {result['seconds']:.0f} seconds.{ended}{missing}"]
    if failed := result["failed"]:
        more = f"\n\n... and {len(failed) - FAILED_SHOWN} more, in the JSON." if len(failed) > FAILED_SHOWN else ""
        blocks.append(records_table(FAILED, failed[:FAILED_SHOWN]) + more)
    return blocks


SECTIONS = {
    "likelihood": ("Bytes moved by the likelihood", _likelihood),
    "training": ("Training in float32 and bfloat16", _training),
    "epochs": ("A long training run", _epochs),
    "sweep": ("A sweep as one program", _sweep),
    "live": ("Live scoring, export and load", _live),
    "tests": ("Tests on the device", _tests),
}
