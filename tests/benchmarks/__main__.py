"""``python -m tests.benchmarks``: measure the worker against other engines and the floor, on this machine, in one run.

Everything runs on a private Kafka on free loopback ports in a temporary directory; nothing is left behind.
"""

import argparse
import json
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

from tests.benchmarks import latency, recovery, scaling, throughput, warehouse, webhooks, where, writing
from tests.benchmarks.ground import Ground, ground
from tests.benchmarks.report import Table, machine
from tests.benchmarks.sizes import FULL, QUICK

PARTS: dict[str, Callable[[Ground], list[Table]]] = {
    "throughput": throughput.run,
    "latency": latency.run,
    "recovery": recovery.run,
    "scaling": scaling.run,
    "where": where.run,
    "writing": writing.run,
    "warehouse": warehouse.run,
    "webhooks": webhooks.run,
}


def _parts(text: str) -> list[str]:
    names = text.split(",")
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is not one of {','.join(PARTS)}")
    return names


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", type=_parts, default=list(PARTS), help=f"some of {','.join(PARTS)}")
    parser.add_argument("--events", type=int, help="use at most so many events of the mix")
    parser.add_argument("--quick", action="store_true", help="a smoke run: every part, no figure of use")
    parser.add_argument("--json", type=Path, help="write the results to this file too")
    return parser.parse_args()


def main() -> None:
    """Run the parts and print each as soon as it is known."""
    asked = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that everything is ended and removed
    sizes = QUICK if asked.quick else FULL
    sizes = replace(sizes, events=asked.events or sizes.events)
    about = {"command": " ".join(["python -m tests.benchmarks", *sys.argv[1:]]), **machine()}
    print("\n".join(f"{name:<12} {value}" for name, value in about.items()), flush=True)
    tables, started = [], time.monotonic()
    with ground(sizes) as shared:
        for name in asked.only:
            for table in PARTS[name](shared):
                tables.append(table)
                print(table.text(), flush=True)
            print(f"({name}: done after {time.monotonic() - started:.0f} s)", flush=True)
    if asked.json:
        asked.json.write_text(json.dumps({"about": about, "sizes": asdict(sizes), "tables": list(map(asdict, tables))}))


if __name__ == "__main__":
    main()
