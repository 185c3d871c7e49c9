"""Import of an older log into an empty tenant, so that its past can be travelled like one's own."""

from dora_state.importing.process import import_xes
from dora_state.importing.report import ImportReport, Resume
from dora_state.progress import Progress

__all__ = ["ImportReport", "Progress", "Resume", "import_xes"]
