"""The tree against published vectors, against RFC 9162 written down once more, and exhaustively.

With LEDGER_OTHER_SIZES set, every bit is flipped in the trees up to 130 that are left out else.
"""

import json
import os
from base64 import b64decode
from collections.abc import Iterator, Sequence
from functools import cache
from hashlib import sha256
from itertools import product
from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.merkle import (
    EMPTY,
    EMPTY_ROOT,
    HASH_SIZE,
    Frontier,
    check_consistency,
    check_inclusion,
    extend,
    frontier_from_bytes,
    frontier_to_bytes,
    leaf_hash,
    node_hash,
    prove_consistency,
    prove_inclusion,
    root,
    subtree_over,
)

VECTORS = Path(__file__).parent / "vectors" / "merkle"

SIZES = {*range(1, 21), 64, 129, 130}
FLIPPED = {*range(1, 131)} - SIZES if "LEDGER_OTHER_SIZES" in os.environ else SIZES
LEAVES = [leaf_hash(b"entry %d" % number) for number in range(130)]
SUBTREE = cache(subtree_over(LEAVES))


def vectors(kind: str, count: int) -> list[dict[str, Any]]:
    lines = (VECTORS / f"{kind}.jsonl").read_text("utf-8").splitlines()
    assert len(lines) == count
    return [json.loads(line) for line in lines]


def proof_in(case: dict[str, Any]) -> list[bytes]:
    return [b64decode(one) for one in case["proof"] or []]


def pairs_up_to(size: int) -> list[tuple[int, int]]:
    """Every (old, new) with 0 < old <= new <= size."""
    return [(old, new) for new in range(1, size + 1) for old in range(1, new + 1)]


def each_bit_flipped(parts: list[bytes]) -> Iterator[list[bytes]]:
    """The parts once for each of their bits, with that bit flipped."""
    for at, part in enumerate(parts):
        for bit in range(8 * len(part)):
            other = int.from_bytes(part, "big") ^ 1 << bit
            yield [*parts[:at], other.to_bytes(len(part), "big"), *parts[at + 1 :]]


def root_by_levels(leaves: Sequence[bytes]) -> bytes:
    """The root by pairing each level from the left, the odd one out going up as it is."""
    level = list(leaves)
    while len(level) > 1:
        odd = level[len(level) & ~1 :]
        level = [node_hash(*level[at : at + 2]) for at in range(0, len(level) - 1, 2)] + odd
    return level[0] if level else EMPTY_ROOT


def rfc9162_inclusion(index: int, size: int, leaf: bytes, proof: list[bytes], root: bytes) -> bool:
    """RFC 9162 section 2.1.3.2, step by step."""
    if index >= size:
        return False
    fn, sn, r = index, size - 1, leaf
    for p in proof:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            r = node_hash(p, r)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = node_hash(r, p)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and r == root


def rfc9162_consistency(
    first: int, first_hash: bytes, second: int, second_hash: bytes, proof: list[bytes]
) -> bool:
    """RFC 9162 section 2.1.4.2, step by step, for 0 < first < second."""
    if not proof:
        return False
    path = [first_hash, *proof] if first & (first - 1) == 0 else proof
    fn, sn = first - 1, second - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = path[0]
    for c in path[1:]:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            fr, sr = node_hash(c, fr), node_hash(c, sr)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = node_hash(sr, c)
        fn, sn = fn >> 1, sn >> 1
    return fr == first_hash and sr == second_hash and sn == 0


@pytest.mark.parametrize("case", vectors("inclusion", 98), ids=itemgetter("case"))
def test_inclusion_vector(case: dict[str, Any]) -> None:
    """Every published inclusion proof gets its published verdict."""
    leaf, root = b64decode(case["leafHash"]), b64decode(case["root"])

    verdict = check_inclusion(case["leafIdx"], case["treeSize"], leaf, proof_in(case), root)

    assert verdict is not case["wantErr"]


@pytest.mark.parametrize("case", vectors("consistency", 98), ids=itemgetter("case"))
def test_consistency_vector(case: dict[str, Any]) -> None:
    """Every published consistency proof gets its published verdict."""
    root1, root2 = b64decode(case["root1"]), b64decode(case["root2"])

    verdict = check_consistency(case["size1"], root1, case["size2"], root2, proof_in(case))

    assert verdict is not case["wantErr"]


def test_reference_hashes() -> None:
    """A leaf and a node hash as in the reference tests of Certificate Transparency."""
    assert leaf_hash(b"L123456").hex() == (
        "395aa064aa4c29f7010acfe3f25db9485bbd4b91897b6ad7ad547639252b4d56"
    )
    assert node_hash(b"N123", b"N456").hex() == (
        "aa217fe888e47007fa15edab33c2b492a722cb106c64667fc2b044444de66bbb"
    )


@pytest.mark.parametrize("case", vectors("roots", 9), ids=itemgetter("size"))
def test_reference_root(case: dict[str, Any]) -> None:
    """The trees of the first reference entries have the reference roots."""
    leaves = [leaf_hash(bytes.fromhex(entry)) for entry in case["entries"]]
    assert root(extend(EMPTY, leaves)).hex() == case["root"]
    assert subtree_over(leaves)(0, case["size"]).hex() == case["root"]
    assert root_by_levels(leaves).hex() == case["root"]


def test_every_frontier_of_the_small_world() -> None:
    """A frontier grown leaf by leaf or at once holds the perfect subtrees of its tree."""
    grown = EMPTY
    for size in range(len(LEAVES) + 1):
        perfect, start = [], 0
        for bit in reversed(range(size.bit_length())):
            if size >> bit & 1:
                perfect.append(SUBTREE(start, start + (1 << bit)))
                start += 1 << bit
        assert grown == Frontier(size, tuple(perfect)) == extend(EMPTY, LEAVES[:size])
        assert root(grown) == root_by_levels(LEAVES[:size]) == SUBTREE(0, size)
        grown = extend(grown, LEAVES[size : size + 1])


@pytest.mark.parametrize("size", [1023, 1024, 1025, 2047, 2048, 2049, 3000])
def test_long_runs(size: int) -> None:
    """More leaves than `extend` holds at once give the same root, also from a generator."""
    leaves = [sha256(b"%d" % number).digest() for number in range(size)]

    assert root(extend(EMPTY, (leaf for leaf in leaves))) == root_by_levels(leaves)


@given(st.lists(st.integers(0, 1500), max_size=5))
def test_batch_size_never_matters(batches: list[int]) -> None:
    """Leaves added in any batches give the frontier of all of them added at once."""
    leaves = [b"%032d" % number for number in range(sum(batches))]
    grown, start = EMPTY, 0
    for batch in batches:
        grown = extend(grown, leaves[start : start + batch])
        start += batch

    assert grown == extend(EMPTY, leaves)


def test_extend_leaves_its_arguments_alone() -> None:
    """Growing a frontier changes neither the frontier that it grew from nor the leaves given."""
    before, leaves = extend(EMPTY, LEAVES[:7]), LEAVES[7:12]

    extend(before, leaves)

    assert (before, leaves) == (extend(EMPTY, LEAVES[:7]), LEAVES[7:12])


def test_frontier_bytes_round_trip() -> None:
    """A frontier comes back from its size and bytes, one hash for each set bit of the size."""
    for size in range(len(LEAVES) + 1):
        frontier = extend(EMPTY, LEAVES[:size])
        blob = frontier_to_bytes(frontier)
        assert len(blob) == size.bit_count() * HASH_SIZE
        assert frontier_from_bytes(size, blob) == frontier


@pytest.mark.parametrize(
    ("size", "blob", "message"),
    [
        (0, bytes(32), "got 32 bytes of frontier for a tree of 0 leaves, wanted 0"),
        (5, bytes(63), "got 63 bytes of frontier for a tree of 5 leaves, wanted 64"),
        (7, bytes(64), "got 64 bytes of frontier for a tree of 7 leaves, wanted 96"),
        (8, b"", "got 0 bytes of frontier for a tree of 8 leaves, wanted 32"),
        (-1, bytes(32), "got a tree of -1 leaves, wanted 0 or more"),
    ],
)
def test_misfit_frontier_bytes(size: int, blob: bytes, message: str) -> None:
    """Bytes that cannot be the frontier of the size are refused with both lengths."""
    with pytest.raises(ValueError, match=f"^{message}$"):
        frontier_from_bytes(size, blob)


def test_every_leaf_of_every_size_is_proven() -> None:
    """Every leaf of every tree of the small world has a proof, which RFC 9162 accepts too."""
    for size in range(1, len(LEAVES) + 1):
        top = SUBTREE(0, size)
        for index in range(size):
            proof = prove_inclusion(index, size, SUBTREE)
            assert len(proof) <= (size - 1).bit_length()
            assert check_inclusion(index, size, LEAVES[index], proof, top)
            assert rfc9162_inclusion(index, size, LEAVES[index], proof, top)


def test_every_growth_is_proven() -> None:
    """Every pair of sizes of the small world has a proof, which RFC 9162 accepts too."""
    for old, new in pairs_up_to(len(LEAVES)):
        old_root, new_root = SUBTREE(0, old), SUBTREE(0, new)
        proof = prove_consistency(old, new, SUBTREE)
        assert len(proof) <= new.bit_length() + 1
        assert check_consistency(old, old_root, new, new_root, proof)
        assert old == new or rfc9162_consistency(old, old_root, new, new_root, proof)


@given(st.data())
def test_proofs_in_a_tree_of_many_leaves(data: st.DataObject) -> None:
    """A prover asks for at most log2(size) + 2 hashes, each of a range inside of the tree."""
    size = data.draw(st.integers(1, 2**48))
    index = data.draw(st.integers(0, size - 1))
    asked: list[tuple[int, int]] = []

    def subtree(start: int, end: int) -> bytes:
        asked.append((start, end))
        return bytes(HASH_SIZE)

    prove_inclusion(index, size, subtree)
    prove_consistency(index + 1, size, subtree)

    assert len(asked) <= 2 * (size.bit_length() + 1)
    assert all(0 <= start < end <= size for start, end in asked)


@pytest.mark.parametrize("index", [-1, 4, 5])
def test_nothing_to_prove(index: int) -> None:
    """A leaf outside of the tree has no inclusion proof, an empty or larger old tree no growth."""
    with pytest.raises(ValueError, match=f"got leaf {index} of a tree of 4 leaves"):
        prove_inclusion(index, 4, SUBTREE)
    with pytest.raises(ValueError, match=f"got trees of {index + 1} and 4 leaves"):
        prove_consistency(index + 1, 4, SUBTREE)


@pytest.mark.parametrize("size", sorted(FLIPPED))
def test_one_flipped_bit_breaks_a_proof(size: int) -> None:
    """No bit of a leaf, of a root or of a proof can change and the proof still hold."""
    top, flips = SUBTREE(0, size), 0
    for index in range(size):
        inclusion = [LEAVES[index], top, *prove_inclusion(index, size, SUBTREE)]
        for parts in each_bit_flipped(inclusion):
            flips += 1
            assert not check_inclusion(index, size, parts[0], parts[2:], parts[1])
        growth = [SUBTREE(0, index + 1), top, *prove_consistency(index + 1, size, SUBTREE)]
        for parts in each_bit_flipped(growth):
            assert not check_consistency(index + 1, parts[0], size, parts[1], parts[2:])
    assert flips >= size * 2 * 8 * HASH_SIZE


def test_wrong_leaf_fails() -> None:
    """A proof holds for its own leaf at its own index alone, in trees of up to 40 leaves."""
    for size in range(1, 41):
        top = SUBTREE(0, size)
        for index in range(size):
            proof = prove_inclusion(index, size, SUBTREE)
            for claimed in range(-2, size + 3):
                verdict = check_inclusion(claimed, size, LEAVES[index], proof, top)
                assert verdict is (claimed == index)
                verdict = check_inclusion(index, size, LEAVES[claimed], proof, top)
                assert verdict is (claimed == index)


def test_wrong_place_is_judged_as_in_the_rfc() -> None:
    """Under a wrong index or size a proof holds only where RFC 9162 gives the path one shape."""
    shared = 0
    for size in range(1, 21):
        top = SUBTREE(0, size)
        for index in range(size):
            proof = prove_inclusion(index, size, SUBTREE)
            for claimed_size in range(26):
                for claimed in range(26):
                    verdict = check_inclusion(claimed, claimed_size, LEAVES[index], proof, top)
                    wanted = rfc9162_inclusion(claimed, claimed_size, LEAVES[index], proof, top)
                    assert verdict is wanted
                    shared += verdict and claimed_size != size
    assert shared > 0


def test_wrong_sizes_are_judged_as_in_the_rfc() -> None:
    """Under wrong sizes a growth is accepted only where RFC 9162 gives the proof one shape."""
    for old, new in pairs_up_to(20):
        old_root, new_root = SUBTREE(0, old), SUBTREE(0, new)
        proof = prove_consistency(old, new, SUBTREE)
        for claimed_old, claimed_new in pairs_up_to(24):
            verdict = check_consistency(claimed_old, old_root, claimed_new, new_root, proof)
            if claimed_old == claimed_new:
                assert verdict is (old == new)
            else:
                assert verdict is rfc9162_consistency(
                    claimed_old, old_root, claimed_new, new_root, proof
                )


def test_misshapen_proofs_fail() -> None:
    """A proof cut, lengthened, reordered or with a hash of another length is False; none raises."""
    for old, new in pairs_up_to(20):
        index, top, old_top = old - 1, SUBTREE(0, new), SUBTREE(0, old)
        inclusion = prove_inclusion(index, new, SUBTREE)
        for wrong in misshapen(inclusion):
            assert not check_inclusion(index, new, LEAVES[index], wrong, top)
        growth = prove_consistency(old, new, SUBTREE)
        for wrong in misshapen(growth):
            assert not check_consistency(old, old_top, new, top, wrong)


def misshapen(proof: list[bytes]) -> list[list[bytes]]:
    """Proofs that are nearly this one."""
    extra = bytes(HASH_SIZE)
    wrong = [[extra, *proof], [*proof, extra], [*proof, b""]]
    for at, one in enumerate(proof):
        wrong.append(proof[:at] + proof[at + 1 :])
        wrong += [[*proof[:at], cut, *proof[at + 1 :]] for cut in (b"", one[:-1], one + b"\0")]
    return [*wrong, proof[::-1]] if len(proof) > 1 else wrong


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_hashes_of_another_length_fail(length: int) -> None:
    """Neither a hash of another length nor two hashes cut elsewhere are ever accepted."""
    first, top, both = bytes(length), SUBTREE(0, 2), LEAVES[0] + LEAVES[1]

    assert not check_inclusion(0, 1, first, [], first)
    assert not check_inclusion(0, 2, both[:length], [both[length:]], top)
    assert not check_consistency(1, both[:length], 2, top, [both[length:]])


@pytest.mark.parametrize(("old", "new"), [(0, 0), (0, 3), (-1, 3), (3, 2), (3, -1)])
def test_sizes_that_prove_nothing(old: int, new: int) -> None:
    """A growth from nothing, or to less, is never accepted."""
    for proof in ([], [EMPTY_ROOT], [SUBTREE(0, 3)]):
        assert not check_consistency(old, EMPTY_ROOT, new, SUBTREE(0, 3), proof)
        assert not check_consistency(old, EMPTY_ROOT, new, EMPTY_ROOT, proof)


def test_entries_slipped_in_before_the_old_ones_fail() -> None:
    """No choice of nodes makes a history look grown whose old entries moved back."""
    tried = 0
    for old in range(1, 5):
        for slipped in range(1, 5):
            history = LEAVES[old : old + slipped] + LEAVES[:old]
            size, subtree = len(history), subtree_over(history)
            nodes = {subtree(a, b) for b in range(1, size + 1) for a in range(b)}
            length = len(prove_consistency(old, size, SUBTREE))
            if length > 2:
                continue
            for proof in product(nodes, repeat=length):
                tried += 1
                assert not check_consistency(old, SUBTREE(0, old), size, subtree(0, size), proof)
    assert tried > 900


@given(
    st.integers(-5, 2**70),
    st.integers(-5, 2**70),
    st.lists(st.binary(max_size=40) | st.just(bytes(HASH_SIZE)), max_size=8),
)
def test_checks_never_raise(first: int, second: int, hashes: list[bytes]) -> None:
    """Whatever sizes and hashes come in, the verdict on a made-up proof is False."""
    assert check_inclusion(first, second, LEAVES[0], hashes, LEAVES[1]) is False
    assert check_consistency(first, LEAVES[0], second, LEAVES[1], hashes) is False
