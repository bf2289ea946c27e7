"""Signed notes: a text with signatures below it, and the keys that sign and verify.

Takes texts and keys and hands on notes, and texts whose signature was verified. The format is C2SP
signed-note with Ed25519 signatures (type 0x01), the private key in the form of Go's package note;
`tests/test_notes.py` checks it against the published vectors of golang/mod. Opens no file.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ledger.errors import BadValue, LedgerError, shown
from ledger.tlog.base64 import from_base64, to_base64

ED25519 = b"\x01"
"""The signature type that stands before a key (C2SP signed-note, "Signature types")."""
KEY_ID_SIZE, KEY_SIZE = 4, 32
SIGNATURE_SIZE = 64
NAME_AT_MOST = 1_000
"""Characters of a key's name, which everybody who checks a head has to compare."""
NOTE_AT_MOST = 1_000_000
"""Bytes of a note; Go's package note has the same limit, and the next."""
SIGNATURES_AT_MOST = 100

_DASH = "\N{EM DASH} "
_PRIVATE = "PRIVATE+KEY+"
_VERIFIER_KEY = "a verifier key: name+id+base64"
_SIGNING_KEY = "a signing key: PRIVATE+KEY+name+id+base64"

# Curve25519 in Edwards form: -x² + y² = 1 + d x² y² modulo p (RFC 8032 section 5.1).
_P = 2**255 - 19
_D = -121665 * pow(121666, -1, _P) % _P


class BadNote(LedgerError):
    """A note is malformed, or no key that is known has signed it as it stands."""

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(f"not a note to trust: {why}")


class AlteredNote(BadNote):
    """A note bears the signature of a key that is known, and not over this text."""


@dataclass(frozen=True)
class VerifierKey:
    """The public half of a key under its name; `str` of it is the text that verifiers are given.

    Raises BadValue for a name that no signature line can hold, a key id that is not the key's, and
    a public key that is no point of the curve or under which anybody can sign.
    """

    name: str
    key_id: bytes
    public: bytes

    def __post_init__(self) -> None:
        _check_name(self.name)
        _check_public(self.public)
        if self.key_id != (wanted := _key_id(self.name, self.public)):
            raise BadValue(self.key_id.hex(), f"key id {wanted.hex()}, as name and key have it")

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{to_base64(ED25519 + self.public)}"

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Return whether the signature is this key's over the message (RFC 8032)."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True)
class Signer:
    """A private key under its name; its text and its repr keep the seed to themselves."""

    name: str
    seed: bytes = field(repr=False)
    """32 bytes of chance."""

    def __post_init__(self) -> None:
        _check_name(self.name)
        if len(self.seed) != KEY_SIZE:
            raise BadValue(f"a seed of {len(self.seed)} bytes", f"{KEY_SIZE} bytes")

    @cached_property
    def key(self) -> VerifierKey:
        """The public half, to give to verifiers."""
        public = self._private.public_key().public_bytes_raw()
        return VerifierKey(self.name, _key_id(self.name, public), public)

    @cached_property
    def _private(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.seed)

    def signature(self, message: bytes) -> bytes:
        """Return the 64 bytes of the signature over the message (RFC 8032)."""
        return self._private.sign(message)


def read_verifier_key(text: str) -> VerifierKey:
    """Return the key that the text `name+id+base64` names; raises BadValue."""
    name, key_id, key = _key_parts(text.strip(), text, _VERIFIER_KEY)
    return VerifierKey(name, key_id, key)


def read_signer(text: str) -> Signer:
    """Return the signer that the text `PRIVATE+KEY+name+id+base64` holds.

    Raises BadValue, which shows nothing of the text: it may be a key with one wrong letter.
    """
    hidden = f"{len(text)} characters that are not shown"
    if not text.strip().startswith(_PRIVATE):
        raise BadValue(hidden, _SIGNING_KEY)
    name, key_id, seed = _key_parts(text.strip().removeprefix(_PRIVATE), hidden, _SIGNING_KEY)
    signer = Signer(name, seed)
    if signer.key.key_id != key_id:
        raise BadValue(key_id.hex(), f"key id {signer.key.key_id.hex()}, which this key has")
    return signer


def write_signer(signer: Signer) -> str:
    """Return the text that `read_signer` reads, for a file that nobody else can read."""
    key_id = signer.key.key_id.hex()
    return f"{_PRIVATE}{signer.name}+{key_id}+{to_base64(ED25519 + signer.seed)}"


def sign(text: str, signer: Signer) -> str:
    """Return the note: the text, an empty line, the signature line of the signer.

    Raises BadNote for a text that a note cannot hold: it ends with a newline, has no other control
    character, and makes a note of at most NOTE_AT_MOST bytes.
    """
    message = _encoded(text)
    if not text.endswith("\n"):
        raise BadNote("its text does not end with a newline")
    signature = to_base64(signer.key.key_id + signer.signature(message))
    note = f"{text}\n{_DASH}{signer.name} {signature}\n"
    _encoded(note)
    return note


def open_note(note: str | bytes, keys: Sequence[VerifierKey]) -> str:
    """Return the text of the note, whose signature by one of the keys at least was verified.

    Signatures by other keys are passed over. Raises BadNote if the note is malformed, if a
    signature of a key that is known fails, or if none of the keys signed.
    """
    text, lines = _split(_decoded(note) if isinstance(note, bytes) else note)
    known = {(key.name, key.key_id): key for key in keys}
    message = text.encode()
    signed = False
    for name, key_id, signature in lines:
        if (key := known.get((name, key_id))) is None:
            continue
        if not key.verifies(signature, message):
            raise AlteredNote(f"the signature by {name}+{key_id.hex()} fails")
        signed = True
    if not signed:
        names = ", ".join(f"{key.name}+{key.key_id.hex()}" for key in keys) or "any known key"
        raise BadNote(f"it is not signed by {names}")
    return text


def _split(note: str) -> tuple[str, list[tuple[str, bytes, bytes]]]:
    """Return the text and, line by line, name, key id and signature."""
    _encoded(note)
    text, empty_line, signatures = note.rpartition("\n\n")
    if not empty_line or not signatures.endswith("\n"):
        raise BadNote("it does not end with an empty line and signature lines")
    lines = signatures[:-1].split("\n")
    if len(lines) > SIGNATURES_AT_MOST:
        raise BadNote(f"it has {len(lines)} signatures, wanted at most {SIGNATURES_AT_MOST}")
    return text + "\n", list(_signature_lines(lines))


def _signature_lines(lines: Sequence[str]) -> Iterator[tuple[str, bytes, bytes]]:
    for line in lines:
        name, space, encoded = line.removeprefix(_DASH).partition(" ")
        try:
            _check_name(name)
            signature = from_base64(encoded)
        except (BadValue, ValueError):
            raise BadNote(f"{shown(line)} is no signature line") from None
        if not line.startswith(_DASH) or not space or len(signature) <= KEY_ID_SIZE:
            raise BadNote(f"{shown(line)} is no signature line")
        yield name, signature[:KEY_ID_SIZE], signature[KEY_ID_SIZE:]


def _encoded(text: str) -> bytes:
    """Return the bytes of a text that a note can hold."""
    if any(character < " " and character != "\n" for character in text):
        raise BadNote("it has control characters")
    try:
        raw = text.encode()
    except UnicodeEncodeError:
        raise BadNote("it is not UTF-8") from None
    if len(raw) > NOTE_AT_MOST:
        raise BadNote(f"it has {len(raw):,} bytes, wanted at most {NOTE_AT_MOST:,}")
    return raw


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise BadNote("it is not UTF-8") from None


def _key_parts(text: str, got: str, wanted: str) -> tuple[str, bytes, bytes]:
    """Return name, key id and the 32 bytes of the key; only the one spelling of each is taken."""
    name, _, rest = text.partition("+")
    spelled_id, _, encoded = rest.partition("+")
    try:
        key_id, key = bytes.fromhex(spelled_id), from_base64(encoded)
    except ValueError:
        raise BadValue(got, wanted) from None
    if spelled_id != key_id.hex() or len(key_id) != KEY_ID_SIZE:
        raise BadValue(got, wanted)
    if key[:1] != ED25519 or len(key) != 1 + KEY_SIZE:
        raise BadValue(got, f"{wanted} of an Ed25519 key")
    return name, key_id, key[1:]


def _key_id(name: str, public: bytes) -> bytes:
    """Return the first bytes of SHA-256(name || newline || signature type || public key)."""
    return sha256(name.encode() + b"\n" + ED25519 + public).digest()[:KEY_ID_SIZE]


def _check_name(name: str) -> None:
    odd = any(c.isspace() or c < " " or c == "+" or "\ud800" <= c <= "\udfff" for c in name)
    if not name or odd:
        raise BadValue(name, "a key name without spaces and plus signs, as example.org/ledger")
    if len(name) > NAME_AT_MOST or not name.isprintable():
        wanted = f"a key name of at most {NAME_AT_MOST} characters, all of them visible"
        raise BadValue(name, wanted)


def _check_public(public: bytes) -> None:
    """Refuse what is no key of one honest signer (RFC 8032 section 5.1.3, decoding).

    Under a point of low order one signature can fit many texts, and one point has one spelling only
    if y is below p and an x of zero has no sign.
    """
    y = int.from_bytes(public, "little") & ~(1 << 255)
    if len(public) != KEY_SIZE or y >= _P:
        raise BadValue(public.hex(), "an Ed25519 public key in its one spelling")
    x_squared = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    if pow(x_squared, (_P - 1) // 2, _P) == _P - 1:
        raise BadValue(public.hex(), "a point of the curve Ed25519")
    for _ in range(3):  # times eight, the cofactor; y alone says it, as y is 1 in no other point
        y, x_squared = _doubled(y, x_squared)
    if y == 1:
        raise BadValue(public.hex(), "a public key that is not of low order")


def _doubled(y: int, x_squared: int) -> tuple[int, int]:
    """Return y and x² of twice the point (RFC 8032 section 5.1.4)."""
    product = _D * x_squared * y * y
    doubled_y = (y * y + x_squared) * pow(1 - product, -1, _P) % _P
    doubled_x_squared = 4 * x_squared * y * y * pow(1 + product, -2, _P) % _P
    return doubled_y, doubled_x_squared
