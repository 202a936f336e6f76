"""What the stack refuses. Imports nothing: `shop-api --help` need not load a database driver."""


class NoInstallationError(Exception):
    """The data folder holds no embedded stores, and the command is not one that makes them."""


class DataFolderError(Exception):
    """The data folder cannot be made, or this user may not write to it."""
