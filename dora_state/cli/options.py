"""Options that commands of several modules share."""

from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="For programs: JSON on stdout.")]
Limit = Annotated[int, typer.Option("--limit", metavar="COUNT", help="So many at most.")]
Page = Annotated[str | None, typer.Option("--page", metavar="MARK", help="Go on where an earlier answer ended.")]
Context = typer.Context
