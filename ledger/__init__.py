"""An append-only ledger of geopolitical incidents: reports in, answers with bounds out."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ledger.book import Book, connect

__all__ = ["Book", "connect"]


def __getattr__(name: str) -> Any:
    """Import the book when it is first asked for: the offline checks need no database library."""
    if name in __all__:
        from ledger import book

        return getattr(book, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
