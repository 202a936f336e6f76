"""The folder in which the processes of a machine count.

Belongs here: its name; no library, for this is read before a process is set up. Does not: its files
(value_files.py).
"""

import os
from pathlib import Path

# prometheus_client's name. Set by the supervisor for its processes, unless an operator has; without
# it a process counts in its memory.
FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


def shared_folder() -> Path | None:
    """The folder of this machine's processes, if they share one."""
    name = os.environ.get(FOLDER_VARIABLE)
    return Path(name) if name else None
