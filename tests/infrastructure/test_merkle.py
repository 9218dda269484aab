"""The log's Merkle tree is that of RFC 9162, and its proofs prove what is so and nothing else."""

from hashlib import sha256
from random import Random

import pytest

from infrastructure.merkle import (
    EMPTY,
    TILE,
    Frontier,
    Tree,
    extends,
    includes,
    node_of,
    root_of,
    subtrees,
    tiled,
)

# The leaves and roots that implementations of Certificate Transparency share as their test vectors.
INPUTS = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
SIZES = [1, 2, 3, 7, 8, TILE - 1, TILE, TILE + 1, 2 * TILE, 3 * TILE + 5, 8 * TILE, 9 * TILE + 1, 2_600]


def tree_of(leaves: list[bytes]) -> Tree:
    def of(tile: int) -> list[bytes]:
        return leaves[tile * TILE : (tile + 1) * TILE]

    whole = len(leaves) // TILE
    return Tree(len(leaves), [root_of(of(tile)) for tile in range(whole)], of)


def reference(leaves: list[bytes]) -> bytes:
    """The definition of RFC 9162, word for word."""
    if len(leaves) <= 1:
        return leaves[0] if leaves else EMPTY
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return node_of(reference(leaves[:k]), reference(leaves[k:]))


def some(number: int) -> list[bytes]:
    return [sha256(bytes([0]) + str(i).encode()).digest() for i in range(number)]


def test_roots_are_those_of_certificate_transparency() -> None:
    leaves = [sha256(b"\0" + bytes.fromhex(each)).digest() for each in INPUTS]
    assert root_of([]).hex() == sha256(b"").hexdigest()
    assert [root_of(leaves[: i + 1]).hex() for i in range(8)] == ROOTS
    assert [tree_of(leaves[: i + 1]).root().hex() for i in range(8)] == ROOTS


@pytest.mark.parametrize("size", SIZES)
def test_tiles_and_frontier_have_the_root_of_the_definition(size: int) -> None:
    leaves = some(size)
    tiled = Frontier()
    for tile in range(size // TILE):
        tiled.add(root_of(leaves[tile * TILE : (tile + 1) * TILE]), TILE)
    for leaf in leaves[tiled.size :]:
        tiled.add(leaf)
    assert tree_of(leaves).root() == tiled.root() == root_of(leaves) == reference(leaves)


@pytest.mark.parametrize("first", [0, 1, 2, 6, TILE, 3 * TILE + 8])
@pytest.mark.parametrize("size", SIZES)
def test_leaves_folded_together_grow_both_trees_as_one_by_one(size: int, first: int) -> None:
    """That of all, which they come to stand in at some place, and that of their own."""
    before, leaves = some(first + size)[:first], some(first + size)[first:]
    whole, own = Frontier(), Frontier()
    for leaf in before:
        whole.add(leaf)
    parts = subtrees(first, leaves)
    for part in parts:
        whole.add(*part)
        own.add(*part)
    assert (whole.size, whole.root()) == (first + size, reference(before + leaves))
    assert own.root() == reference(leaves)
    assert len(parts) <= max(1, size // (first & -first or TILE) + 10)
    roots, rest = tiled(leaves)
    assert roots == [reference(leaves[at : at + TILE]) for at in range(0, size - TILE + 1, TILE)]
    assert rest == leaves[len(roots) * TILE :]


@pytest.mark.parametrize("size", SIZES)
def test_each_leaf_is_proved_and_no_other_passes(size: int) -> None:
    leaves, dice = some(size), Random(size)
    tree = tree_of(leaves)
    root = tree.root()
    for index in {0, size - 1, *(dice.randrange(size) for _ in range(20))}:
        path = tree.inclusion(index)
        assert includes(root, size, index, leaves[index], path)
        assert not includes(root, size, index, sha256(b"forged").digest(), path)
        assert not includes(sha256(b"forged").digest(), size, index, leaves[index], path)
        assert not includes(root, size, index + 1, leaves[index], path)
        assert not includes(root, size, index, leaves[index], [*path, root])
        if path:
            assert not includes(root, size, index, leaves[index], path[:-1])
            broken = dice.randrange(len(path))
            forged = [*path[:broken], sha256(path[broken]).digest(), *path[broken + 1 :]]
            assert not includes(root, size, index, leaves[index], forged)


@pytest.mark.parametrize("size", SIZES)
def test_a_tree_is_proved_to_have_grown_from_each_earlier_one(size: int) -> None:
    leaves, dice = some(size), Random(size)
    tree = tree_of(leaves)
    root = tree.root()
    for older in {1, size, *(dice.randrange(1, size + 1) for _ in range(20))}:
        proof, before = tree.consistency(older), reference(leaves[:older])
        assert extends((older, before), (size, root), proof)
        assert not extends((older, sha256(b"forged").digest()), (size, root), proof)
        assert not extends((older, before), (size, sha256(b"forged").digest()), proof)
        if older < size:
            assert not extends((older, before), (size, root), [])
            assert not extends((older, before), (size, root), [*proof, root])
            changed = [*leaves[: older - 1], sha256(b"changed").digest(), *leaves[older:]]
            rewritten = tree_of(changed)
            assert not extends((older, before), (size, rewritten.root()), rewritten.consistency(older))


def test_what_is_not_in_the_tree_has_no_proof() -> None:
    tree = tree_of(some(5))
    for index in (-1, 5):
        with pytest.raises(ValueError, match="no leaf"):
            tree.inclusion(index)
    for size in (0, 6):
        with pytest.raises(ValueError, match="not grown"):
            tree.consistency(size)
