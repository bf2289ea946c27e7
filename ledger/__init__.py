"""An append-only ledger of geopolitical incidents: reports in, answers with bounds out."""

from ledger.book import Book, connect

__all__ = ["Book", "connect"]
