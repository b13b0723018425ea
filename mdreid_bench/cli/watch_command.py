"""``mdreid-bench watch``: a run at work."""

import time
from typing import Annotated

from mdreid_bench.cli.command import OUTPUT, argument, option
from mdreid_bench.cli.console import Console
from mdreid_bench.cli.options import DEFAULT_RESULTS, Results
from mdreid_bench.report.watching import picture
from mdreid_bench.results.finding import find_run
from mdreid_bench.results.progress import read_progress
from mdreid_bench.results.store import Store
from mdreid_bench.wording import duration

SECONDS = 2.0
"""Between two looks."""


def watch(
    run: Annotated[str, argument("RUN", "Any part of a run's folder name, or of its key, that no other has.")],
    once: Annotated[bool, option(OUTPUT, "--once", "Show how far it is and end.", default=True)] = False,
    results: Results = DEFAULT_RESULTS,
) -> None:
    """Watch a run: losses and rates as curves, time left, its log.

    Of MDReID also the cosines between the parts of an item, before training,
    now and ideally. Reads what the run writes and disturbs nothing; ends when
    the run does, or with Ctrl-C. Of a finished run it shows the end. Where
    the output is no terminal, it waits for the end and then writes once.

    Examples:

      mdreid-bench watch msvr310-mdreid-tiny-s1

      mdreid-bench watch 3f9c --once
    """
    console, store = Console(), Store(results)
    folder = find_run(store, run)
    with console.live() as show:
        while True:
            now = read_progress(store, folder)
            left = "" if now.seconds_left is None else duration(now.seconds_left)
            show(picture(now, console.width, left, plain=console.ascii_only, rows=console.height))
            if once or now.over:
                return
            time.sleep(SECONDS)
