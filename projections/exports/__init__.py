"""Exports: what was recorded, in formats that others read. Each is told in pieces of bounded memory, as of one moment."""

from projections.exports.exporter import FORMATS, Exporter
from projections.exports.selection import Selection

__all__ = ["FORMATS", "Exporter", "Selection"]
