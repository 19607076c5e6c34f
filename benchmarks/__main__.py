"""Run the benchmarks: `python -m benchmarks [--quick] [--only NAME] [--out FILE]`."""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from benchmarks.baseline import connect
from benchmarks.cluster import in_cluster
from benchmarks.latency import from_post
from benchmarks.measures import MEASURES, Bench, held
from benchmarks.rabbit import on_rabbit
from benchmarks.receiver import receiving
from benchmarks.rows import Row, put_into_page, save, table
from benchmarks.watch import Watch
from dlq.embedded.redis import EmbeddedRedis

_ALL = {**MEASURES, "cluster": in_cluster, "rabbit": on_rabbit, "receiver": receiving, "latency": from_post}
_SMALL, _LARGE = 100_000, 1_000_000
_ROOT = Path(__file__).resolve().parent.parent
_PAGE = _ROOT / "docs" / "benchmarks.md"


def main(arguments: list[str] | None = None) -> None:
    """Measure, print the table and write the files; a partial run leaves the full run's files alone."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="ten times fewer messages, each measured once")
    parser.add_argument("--only", choices=_ALL, help="one measurement")
    parser.add_argument("--out", type=Path, help="the JSON file [default: build/bench.json]")
    asked = parser.parse_args(arguments)
    partial = asked.quick or asked.only
    rows, server = run(list(_ALL) if asked.only is None else [asked.only], quick=asked.quick)
    print(table(rows))
    save(rows, asked.out or _ROOT / "build" / ("bench-partial.json" if partial else "bench.json"))
    if not partial and asked.out is None:
        put_into_page(rows, _PAGE, "make bench", server)


def run(names: list[str], *, quick: bool) -> tuple[list[Row], str]:
    """Run the named measurements on a server of their own; return the rows and what the server is."""
    factor = 10 if quick else 1
    with EmbeddedRedis(binary=shutil.which("redis-server")) as server, connect(server.url) as client:
        with Watch(client, server.url, server.folder) as watch:
            bench = Bench(client, server.url, watch, _SMALL // factor, _LARGE // factor, 1 if quick else 3)
            rows: list[Row] = []
            for name in names:
                print(f"measuring: {name}", file=sys.stderr, flush=True)
                found = _ALL[name](bench)
                print(table(found), file=sys.stderr, flush=True)
                rows += found
            if bench.ours:
                rows += held(bench)
        facts = client.info("server")
    return rows, f"{facts.get('server_name', 'redis')} {facts.get('valkey_version') or facts['redis_version']}"


if __name__ == "__main__":
    main()
