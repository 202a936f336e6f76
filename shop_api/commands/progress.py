"""Progress of a bulk import: a bar on a terminal, plain lines elsewhere.

Belongs here: showing it. Does not: measuring it (bulk/journal.py).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click
import rich.progress
from rich.console import Console

from shop_api.bulk.journal import Progress

Listener = Callable[[Progress], None]


@contextmanager
def progress_listener(title: str) -> Iterator[Listener]:
    """What an import reports to while the block runs; written to standard error."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _plain_listener(title)
        return
    columns = (
        rich.progress.TextColumn("{task.description}"),
        rich.progress.BarColumn(),
        rich.progress.TaskProgressColumn(),
        rich.progress.TextColumn("{task.fields[step]}"),
        rich.progress.TimeElapsedColumn(),
    )
    with rich.progress.Progress(*columns, console=console) as bar:
        task = bar.add_task(title, total=1.0, step="")

        def show(progress: Progress) -> None:
            bar.update(
                task,
                completed=progress.ratio,
                step=f"{progress.step} {progress.row_count:,}" if progress.row_count else "",
            )

        yield show


def _plain_listener(title: str) -> Listener:
    """One line for each step."""
    steps: set[str] = set()

    def show(progress: Progress) -> None:
        if progress.step not in steps:
            steps.add(progress.step)
            click.echo(f"{title}: {progress.ratio:4.0%} {progress.step}", err=True)

    return show
