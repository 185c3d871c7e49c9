"""Documents kept in this process (L1), and how it hears of their changes."""

from infrastructure.near.near_copies import NearDocuments
from infrastructure.near.tracking import Tracking

__all__ = ["NearDocuments", "Tracking"]
