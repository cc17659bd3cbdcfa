"""Does skipping tokens save time? Several ways to execute AdaMTL's decisions, against the static network.

    python benchmarks/adaptive_speed.py --json adaptive.json     # 20 minutes on two cores
    python benchmarks/adaptive_speed.py --json adaptive.json     # the same tables again

A launch is a fresh process that holds one network with random weights and one batch of images. It calls all ways in
turn, in shuffled order, again and again; a way's time is its floor, each figure is made of times of one launch, and
intervals are over launches. Decisions are forced, as many tokens as the keep ratio says, anywhere; the policies run all
the same. The encoder ends where the heads begin, at a reading of the clock inside the call.

    gathered      what `adamtl` does: MLPs run for the rows that are kept
    element-mask  as in the released code: a mask as wide as the channels picks single numbers and puts them back
    times mask    everything is computed, and multiplied with the mask (`adamtl` in mode `masked`)
    whole tokens  gathered, with `scope: block`: in a ViT skipped tokens ask nothing, in a Swin whole windows rest

More calls tell what could be had: `policy only` asks the policies and then runs everything, and two leave out what can
be skipped, MLPs or whole blocks. What they take less than the static network is the time of the gated units.

    realised       (1 - time / static) / (1 - MACs / static), the policies' MACs charged
    ceiling        share of the static network's time that the gated units take, over their share of its MACs
    free gather    would take `policy only` less what the skipped units took; `of free` is how much of the time that it
                   would save against element-mask gathered saves
    memory         most tensor memory that a call holds at once beside weights and images, over the static network's

Beside the gated units' share of the time stands the one that `mtlbench.measure.attribution` finds.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path

import torch
from adaptive_report import show
from adaptive_ways import PARTS, SIDES, Call, Ways, build
from in_turns import Record, fresh_processes, in_turns
from torch import Tensor, nn

from mtlbench.measure import capture, clock_for, module_weights_mib, prepare
from mtlbench.measure.allocations import peak_allocated_mib
from mtlbench.measure.attribution import attribute_time
from mtlbench.variants.adamtl.network import AdaptiveNetwork

NETWORKS = ["swin-tiny", "vit-small"]


def launch(
    name: str,
    threads: int,
    batches: Sequence[int],
    keeps: Sequence[float],
    rounds: int,
    number: int,
    first: bool,
) -> list[Record]:
    """One process: a record for each batch size.

    The first launch at a number of threads adds shares of the time, the `first` of all what threads do not change.
    """
    prepare(threads)
    network = build(name)
    assert network.policies is not None  # noqa: S101  # build has made them
    records = []
    with torch.inference_mode():
        for batch in batches:
            x = torch.randn(batch, 3, *network.problem.size, generator=torch.Generator().manual_seed(number))
            ways = Ways(network, x, keeps, number)
            record = {"network": name, "threads": threads, "batch": batch, "launch": number}
            record |= measure(ways.calls, x, max(rounds // batch, 2), threads, number)
            if number == 0:
                record["attributed"] = attributed(ways.calls["static"], x, network)
            if first:
                ways.check()
                record |= {"macs": ways.macs, "memory": memory(ways.calls, x)}
                record["policies_mib"] = module_weights_mib([network.policies])
            records.append(record)
    return records


def measure(calls: Mapping[str, Call], x: Tensor, rounds: int, threads: int, seed: int) -> Record:
    """Floors in ms by way, of the encoder and of the whole call; all ways take turns."""
    found = in_turns(
        calls,
        x,
        rounds=rounds,
        threads=threads,
        seed=seed,
        warmed=lambda name: calls[name].encoder_ns.clear(),
    )
    ms = {name: (min(call.encoder_ns) / 1e6, found["ms"][name]) for name, call in calls.items()}
    return found | {"ms": {name: dict(zip(PARTS, of, strict=True)) for name, of in ms.items()}}


def memory(calls: Mapping[str, Call], x: Tensor) -> dict[str, dict[str, float]]:
    """MiB of tensors that a call holds at once, beside all weights and the images."""
    return {
        name: {"encoder": peak_allocated_mib(call.encode, x), "whole": peak_allocated_mib(call, x)}
        for name, call in calls.items()
    }


def attributed(call: Call, x: Tensor, network: AdaptiveNetwork) -> dict[str, float]:
    """Share of the static network's time that the MLPs and their norms take, of encoder and whole."""
    mlps: dict[str, nn.Module] = {
        layer.unit: nn.ModuleList([layer.norm2, layer.feed_forward])
        for stage in network.blocks.layers_of
        for layer in stage
    }
    found = attribute_time(call, [x], clock_for("cpu"), {**mlps, "heads": network.heads})
    mlps_ms = sum(found.part_ms[unit] for unit in mlps)
    encoder_ms = found.watched_ms - found.part_ms["heads"]
    return dict(zip(PARTS, (mlps_ms / encoder_ms, mlps_ms / found.watched_ms), strict=True))


def collect(arguments: argparse.Namespace) -> Iterator[list[Record]]:
    """Launch every network at every number of threads, in turn; the records so far after each launch."""
    jobs = []
    for number, name, threads in product(range(arguments.launches), arguments.networks, arguments.threads):
        first = number == 0 and threads == arguments.threads[0]
        jobs.append(
            (threads, (name, threads, arguments.batches, arguments.keeps, arguments.rounds, number, first))
        )
    return fresh_processes(launch, jobs)


def main() -> None:
    """Measure, or read what was measured before, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--networks", nargs="+", choices=SIDES, default=NETWORKS, metavar="NAME")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--keeps", type=float, nargs="+", default=[1.0, 0.75, 0.5, 0.25])
    parser.add_argument("--launches", type=int, default=6, help="6 give intervals")
    parser.add_argument(
        "--rounds", type=int, default=6, help="calls of each way in a launch; fewer of a batch, but 2"
    )
    parser.add_argument(
        "--quick", action="store_true", help="one launch, one thread, batch 1, keep 1 and 0.5"
    )
    parser.add_argument("--json", type=Path, help="keep the launches here, or read them from here")
    arguments = parser.parse_args()
    if arguments.quick:
        vars(arguments).update({"launches": 1, "threads": [1], "batches": [1], "keeps": [1.0, 0.5]})
    if arguments.json is not None and arguments.json.exists():
        kept = json.loads(arguments.json.read_text())
    else:
        kept = {"keeps": arguments.keeps, "machine": capture(), "launches": []}
        for kept["launches"] in collect(arguments):
            if arguments.json is not None:
                arguments.json.write_text(json.dumps(kept))
    show(kept["launches"], kept["keeps"])


if __name__ == "__main__":
    main()
