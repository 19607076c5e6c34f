"""Run each journey over its broken code; exit status 1 when one of them passes."""

import subprocess
import sys
import time

from tests.sabotage.breaks import BREAKS, Break

FAILED, PASSED = 1, 0  # pytest's exit status
WORDS = {FAILED: "fails, as it should", PASSED: "PASSES: it proves nothing"}


def outcome(number: int, fault: Break) -> int:
    """Give pytest's exit status of a journey over its broken code."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "tests.sabotage.plugin", "--break", str(number)]
    ended = subprocess.run([*command, f"{fault.file}::{fault.journey}"], capture_output=True, text=True, check=False)
    if ended.returncode not in WORDS:
        print(ended.stdout[-2_000:], ended.stderr[-2_000:])
    return ended.returncode


def main() -> int:
    """Try them all, or those whose numbers are named."""
    wanted = [int(word) for word in sys.argv[1:]] or range(len(BREAKS))
    bad = 0
    for number in wanted:
        fault, began = BREAKS[number], time.monotonic()
        status = outcome(number, fault)
        bad += status != FAILED
        verdict = WORDS.get(status, f"did not run: pytest ended with {status}")
        print(f"{number:2} {fault.what}: {fault.journey} {verdict} ({time.monotonic() - began:.0f} s)", flush=True)
    print(f"{len(wanted) - bad} of {len(wanted)} journeys fail over broken code")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
