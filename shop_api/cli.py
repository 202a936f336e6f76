"""The command `shop-api`: a group of commands found by entry point.

Belongs here: finding and listing commands. Does not: any command (the package that owns it names it
in the entry-point group `shop_api.commands`; the platform's own are in shop_api/commands/).
"""

from importlib.metadata import EntryPoint, entry_points
from typing import Any

import click
from pydantic import ValidationError
from pydantic_settings import SettingsError

from shop_api.kernel.errors import DomainError, StartRefused
from shop_api.setting_refusals import explain
from shop_api.stack.errors import DataFolderError, NoInstallationError

COMMANDS = "shop_api.commands"


class PluggedGroup(click.Group):
    """A group whose commands are entry points, each imported when it is needed."""

    @staticmethod
    def _entry_points() -> dict[str, EntryPoint]:
        return {entry.name: entry for entry in entry_points(group=COMMANDS)}

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(self._entry_points())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = self._entry_points().get(cmd_name)
        if entry is None:
            return None
        command = entry.load()
        if not isinstance(command, click.Command):
            raise TypeError(f"entry point {entry.value!r} of {COMMANDS} is not a click command")
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; what somebody at a terminal can mend is told in a sentence."""
        try:
            return super().invoke(ctx)
        except (ValidationError, SettingsError) as error:
            lines = [f"  {line}" for line in explain(error)]
            advice = "`shop-api settings` lists them all."
            raise click.ClickException("\n".join(["settings:", *lines, advice])) from error
        except DomainError as error:
            raise click.ClickException(error.detail) from error
        except (DataFolderError, NoInstallationError, StartRefused) as error:
            raise click.ClickException(str(error)) from error
        except PermissionError as error:
            raise click.ClickException(f"{error.filename}: {error.strerror}") from error


@click.group(
    cls=PluggedGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Settings come from SHOP_* environment variables and .env; see docs/guides/settings.md."
    " Without DATABASE_URL and REDIS_URL the stores are embedded under SHOP_DATA_DIR.",
)
@click.version_option(package_name="shop-api", prog_name="shop-api")
def main() -> None:
    """A multi-tenant commerce API with its own analytics lake.

    \b
    Start everything on this machine:   shop-api serve
    See what is wrong with a setup:     shop-api doctor
    Explain one command:                shop-api COMMAND --help
    """


if __name__ == "__main__":
    main()
