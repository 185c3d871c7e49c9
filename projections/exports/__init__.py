"""Exports: what was recorded, in formats that others read, as of one moment and in pieces of bounded memory."""

from projections.exports.exporter import FORMATS, Exporter
from projections.exports.selection import Selection

__all__ = ["FORMATS", "Exporter", "Selection"]
