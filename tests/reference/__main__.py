"""`python -m tests.reference [COUNT [FIRST]]`: so many histories on all cores; the first difference made small."""

import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor

from tests.reference.compare import LONG, trial

CHUNK = 100


def main() -> int:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else LONG
    first = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    begun, done, found = time.monotonic(), 0, 0
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for differences, tried in pool.map(trial, range(first, first + count, CHUNK), [CHUNK] * (count // CHUNK)):
            done += tried
            found += len(differences)
            print("\n\n".join(differences), end="\n\n" if differences else "")
            if done % 10_000 == 0:
                print(f"{done:,} histories, {found} differences, {time.monotonic() - begun:.0f} s", flush=True)
    print(f"{done:,} histories from seed {first}, {found} differences, {time.monotonic() - begun:.0f} s")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
