"""Options that commands of several modules share."""

from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="For programs: JSON on stdout.")]
Limit = Annotated[int, typer.Option("--limit", metavar="COUNT", help="So many at most.")]
Page = Annotated[str | None, typer.Option("--page", metavar="MARK", help="Go on where an earlier answer ended.")]
Context = typer.Context
AsOfVersion = Annotated[int | None, typer.Option("--version", metavar="N", help="As of its version N.")]
AsOfTime = Annotated[str | None, typer.Option("--at", metavar="TIME", help="As of a moment: ISO 8601 with a zone.")]
AsOfPosition = Annotated[int | None, typer.Option("--position", metavar="P", help="As of a position in the log.")]
