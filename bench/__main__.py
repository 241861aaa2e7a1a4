"""`python -m bench [--rounds N] [NAME…]`: run the named benchmarks (default: all) and write their results."""

import argparse
import importlib
import sys

from bench.report import ROUNDS

NAMES = ("rules", "scenarios", "ingest", "relay", "rfm")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}; default all")
    parser.add_argument("--rounds", type=int, help=f"how often each is measured, default {ROUNDS}; scenarios once")
    chosen = parser.parse_args()
    unknown = set(chosen.names) - set(NAMES)
    if unknown or (chosen.rounds is not None and chosen.rounds < 1):
        parser.error(f"no benchmark {', '.join(sorted(unknown))}" if unknown else "--rounds: at least 1")
    missed = 0
    for name in chosen.names or NAMES:
        module = importlib.import_module(f"bench.{name}")
        report = module.main(chosen.rounds or getattr(module, "ROUNDS", ROUNDS))
        report.save()
        for row in (figure.row() for figure in report.figures):
            missed += not row.get("reached", True)
            print(
                f"{name}: {row['name']}: {row['median']:g} {row['unit']} ({row['min']:g} to {row['max']:g})"
                f"{' aim ' + row['aim'] if 'aim' in row else ''}",
                flush=True,
            )
    print(f"{missed} aims missed; see bench/results/README.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
