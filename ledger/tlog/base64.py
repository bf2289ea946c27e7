"""Base64 in its one spelling, as every C2SP format wants it (RFC 4648, section 4).

Takes bytes and hands on text, and back. Opens no file.
"""

from base64 import b64decode, b64encode


def to_base64(raw: bytes) -> str:
    """Return the bytes in base64, with padding."""
    return b64encode(raw).decode()


def from_base64(text: str) -> bytes:
    """Return the bytes; raises ValueError unless the text is what `to_base64` makes of them."""
    raw = b64decode(text, validate=True)
    if to_base64(raw) != text:
        raise ValueError("not the one spelling in base64")
    return raw
