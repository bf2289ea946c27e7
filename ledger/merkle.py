"""The Merkle tree over the log: roots that commit to every entry, proofs that anyone can check.

Takes leaf hashes and tree sizes and hands on roots, frontiers and proofs. The tree is that of
RFC 6962 section 2.1 and RFC 9162 section 2.1: SHA-256, 0x00 before an entry, 0x01 before two nodes,
a tree of n leaves split at the largest power of two below n. Opens nothing; what a prover needs of
the tree it asks of a `Subtree`. Ranges of leaves are half-open, leaf index = position - 1.
`tests/test_merkle.py` checks it against the published vectors of transparency-dev.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice

HASH_SIZE = 32
"""Bytes of one hash."""

EMPTY_ROOT = sha256(b"").digest()
"""The root of the tree without leaves (RFC 6962 section 2.1)."""

Subtree = Callable[[int, int], bytes]
"""Given start and end, the RFC 6962 tree hash of leaves [start, end); a prover asks only
for single leaves, for perfect subtrees and for right edges of the tree being proved."""

_CHUNK = 1024
"""Leaves that `extend` holds at once: enough to make the loop per chunk free, small in memory."""


def leaf_hash(entry: bytes) -> bytes:
    """Return SHA-256(0x00 || entry), the hash of one leaf (RFC 6962 section 2.1)."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return SHA-256(0x01 || left || right), the hash of an inner node (RFC 6962 section 2.1)."""
    return sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True, slots=True)
class Frontier:
    """All that is needed of a tree of `size` leaves in order to grow it and to know its root."""

    size: int
    """Leaves in the tree."""
    hashes: tuple[bytes, ...]
    """Roots of the perfect subtrees from left to right, so largest first: one for each bit of
    `size` that is set."""


EMPTY = Frontier(0, ())


def extend(frontier: Frontier, leaf_hashes: Iterable[bytes]) -> Frontier:
    """Return the frontier after the leaf hashes, in their order, were added on the right.

    `extend(extend(f, a), b) == extend(f, a + b)`. Each leaf hash must have HASH_SIZE bytes; this
    is not checked. Costs one hash a leaf, in constant memory.
    """
    size, hashes = frontier.size, list(frontier.hashes)
    leaves = iter(leaf_hashes)
    while chunk := list(islice(leaves, _CHUNK)):
        added = len(chunk)
        hashes = _merged(size, hashes, chunk)
        size += added
    return Frontier(size, tuple(hashes))


def _merged(size: int, hashes: list[bytes], nodes: list[bytes]) -> list[bytes]:
    """Return the hashes of the frontier after `nodes`; uses both lists up.

    A binary addition, level by level: a node that finds no partner stays in the frontier, the pairs
    are carried to the next level. Level by level is faster than leaf by leaf.
    """
    kept = []
    while len(nodes) > 1:
        if size & 1:
            nodes.insert(0, hashes.pop())
        if len(nodes) & 1:
            kept.append(nodes.pop())
        pairs = zip(nodes[::2], nodes[1::2], strict=True)
        nodes = [sha256(b"\x01" + left + right).digest() for left, right in pairs]
        size >>= 1
    for node in nodes:  # the last one, or the only leaf of a small append, is carried alone
        while size & 1:
            node = node_hash(hashes.pop(), node)
            size >>= 1
        hashes.append(node)
    return hashes + kept[::-1]


def root(frontier: Frontier) -> bytes:
    """Return the root hash of the tree (RFC 6962 section 2.1); at most log2(size) hashes."""
    if not frontier.hashes:
        return EMPTY_ROOT
    *lefts, answer = frontier.hashes
    for left in reversed(lefts):
        answer = node_hash(left, answer)
    return answer


def frontier_to_bytes(frontier: Frontier) -> bytes:
    """Return the hashes end to end, without the size; `frontier_from_bytes` is the inverse."""
    return b"".join(frontier.hashes)


def frontier_from_bytes(size: int, blob: bytes) -> Frontier:
    """Return the frontier of a tree of `size` leaves; the inverse of `frontier_to_bytes`.

    Raises ValueError if the size is negative or the blob has not one hash for each set bit of it.
    """
    if size < 0:
        raise ValueError(f"got a tree of {size} leaves, wanted 0 or more")
    wanted = size.bit_count() * HASH_SIZE
    if len(blob) != wanted:
        raise ValueError(
            f"got {len(blob)} bytes of frontier for a tree of {size} leaves, wanted {wanted}"
        )
    return Frontier(size, tuple(blob[at : at + HASH_SIZE] for at in range(0, wanted, HASH_SIZE)))


def subtree_over(leaves: Sequence[bytes]) -> Subtree:
    """Return the tree hash over leaf hashes held in memory, as RFC 6962 section 2.1 defines it.

    Every call hashes its whole range again: for tests and small trees.
    """

    def subtree(start: int, end: int) -> bytes:
        if start == end:
            return EMPTY_ROOT
        if end - start == 1:
            return leaves[start]
        middle = _split(start, end)
        return node_hash(subtree(start, middle), subtree(middle, end))

    return subtree


def prove_inclusion(index: int, size: int, subtree: Subtree) -> list[bytes]:
    """Return the audit path of leaf `index` in the tree of `size` leaves, from the leaf upwards.

    RFC 6962 section 2.1.1, RFC 9162 section 2.1.3.1. Asks for at most log2(size) + 1 hashes.
    Raises ValueError unless 0 <= index < size.
    """
    if not 0 <= index < size:
        raise ValueError(f"got leaf {index} of a tree of {size} leaves, wanted 0 <= leaf < size")
    return [subtree(start, end) for start, end in _inclusion_ranges(index, size)]


def check_inclusion(
    index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes
) -> bool:
    """Return whether the proof shows that `leaf` is the hash of leaf `index` under `root`.

    RFC 9162 section 2.1.3.2. The shape follows from index and size alone; a proof that does not fit
    it is False, and none raises. Size and root must come from one trusted tree head: trees of
    different sizes may share the shape of a path (leaf 0 of 5 leaves and of 6), so that a proof
    does not by itself show the size. At most log2(size) + 1 hashes.
    """
    if not 0 <= index < size or not _are_hashes(leaf, *proof):
        return False
    ranges = _inclusion_ranges(index, size)
    if len(proof) != len(ranges):
        return False
    answer = leaf
    for (start, _), sibling in zip(ranges, proof, strict=True):
        answer = node_hash(answer, sibling) if start > index else node_hash(sibling, answer)
    return answer == root


def prove_consistency(old: int, new: int, subtree: Subtree) -> list[bytes]:
    """Return the proof that the tree of `old` leaves is the beginning of the tree of `new`.

    RFC 6962 section 2.1.2, RFC 9162 section 2.1.4.1. Asks for at most log2(new) + 2 hashes.
    Raises ValueError unless 0 < old <= new: every tree begins with the empty one, so there is
    nothing to prove.
    """
    if not 0 < old <= new:
        raise ValueError(f"got trees of {old} and {new} leaves, wanted 0 < old <= new")
    return [subtree(start, end) for start, end in _consistency_ranges(old, new)]


def check_consistency(
    old_size: int, old_root: bytes, new_size: int, new_root: bytes, proof: Sequence[bytes]
) -> bool:
    """Return whether the proof shows that the new tree begins with all leaves of the old one.

    RFC 9162 section 2.1.4.2. The shape follows from the two sizes alone; a proof that does not fit
    it is False, and none raises. An old size of 0 is False: it would prove nothing. Each size and
    its root must come from one trusted tree head. At most 2 log2(new_size) + 2 hashes.
    """
    if not 0 < old_size <= new_size:
        return False
    if old_size == new_size:
        return not proof and old_root == new_root
    ranges = _consistency_ranges(old_size, new_size)
    if ranges[0][1] != old_size:
        # The old tree is one perfect subtree of the new: its root begins the proof, unsent.
        ranges, proof = [(0, old_size), *ranges], [old_root, *proof]
    if len(proof) != len(ranges) or not _are_hashes(*proof):
        return False
    old_answer = new_answer = proof[0]
    for (start, _), sibling in zip(ranges[1:], proof[1:], strict=True):
        if start < old_size:
            old_answer = node_hash(sibling, old_answer)
            new_answer = node_hash(sibling, new_answer)
        else:
            new_answer = node_hash(new_answer, sibling)
    return old_answer == old_root and new_answer == new_root


def _inclusion_ranges(index: int, size: int) -> list[tuple[int, int]]:
    """Return the leaves under each hash of an inclusion proof: the siblings, from the leaf up."""
    ranges = []
    start, end = 0, size
    while end - start > 1:
        middle = _split(start, end)
        if index < middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
    return ranges[::-1]


def _consistency_ranges(old: int, new: int) -> list[tuple[int, int]]:
    """Return the leaves under each hash of a consistency proof, in its order.

    The first is the last perfect subtree of the old tree, left out where it is the whole old
    tree; the others are the siblings on the way up from it.
    """
    ranges = []
    start, end = 0, new
    while end != old:
        middle = _split(start, end)
        if old <= middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
    if start:
        ranges.append((start, end))
    return ranges[::-1]


def _split(start: int, end: int) -> int:
    """Return where the tree over [start, end), of two leaves or more, divides in two."""
    return start + (1 << (end - start - 1).bit_length() - 1)


def _are_hashes(*hashes: bytes) -> bool:
    return all(len(one) == HASH_SIZE for one in hashes)
