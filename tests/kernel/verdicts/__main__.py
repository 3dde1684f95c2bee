# SPDX-License-Identifier: GPL-2.0-only
"""`python -m tests.kernel.verdicts SEED [NUMBER]`: see the package."""

from __future__ import annotations

import argparse
import sys

from tests.kernel.verdicts.compare import compare, report, shrunk
from tests.kernel.verdicts.drawn import KINDS
from tests.kernel.verdicts.on_linux import linux_routers


def main() -> int:
    """Play cases, show those that differ, and return how many did (100 at most)."""
    parser = argparse.ArgumentParser(prog="python -m tests.kernel.verdicts", description=__doc__)
    parser.add_argument("seed", type=int)
    parser.add_argument("number", type=int, nargs="?", help="of one case; it is shown whatever it does")
    parser.add_argument("--kind", choices=KINDS, default="iptables")
    parser.add_argument("--count", type=int, default=100, help="how many cases, from 0")
    parser.add_argument("--whole", action="store_true", help="do not look for the least case that differs")
    options = parser.parse_args()
    numbers = range(options.count) if options.number is None else [options.number]
    pairs = failed = 0
    with linux_routers() as linux:
        for number in numbers:
            case = KINDS[options.kind](options.seed, number)
            compared = compare(linux, case)
            pairs += len(case.steps)
            failed += bool(compared.differences)
            if compared.differences and not options.whole:
                least = compare(linux, shrunk(linux, case))
                compared = least if least.differences else compared
            if compared.differences or options.number is not None:
                report(compared, lambda line: sys.stdout.write(f"{line}\n"))
    sys.stdout.write(f"{pairs} pairs in {len(numbers)} cases, {failed} cases differ\n")
    return min(failed, 100)


if __name__ == "__main__":
    sys.exit(main())
