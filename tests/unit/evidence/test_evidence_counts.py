"""Counts of bounded size that keep what is common and some of what is rare."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daeploy_lib.evidence.counts import Counts
from daeploy_lib.evidence.differences import Differences, entry

KEYS = st.lists(st.text(max_size=3), max_size=40)


def of(keys: list[str], limit: int = 1000) -> Counts:
    """Return how often each key is there."""
    counts = Counts(limit)
    for key in keys:
        counts.add(key)
    return counts


@given(KEYS, KEYS, KEYS)
def test_merging_is_adding(a: list[str], b: list[str], c: list[str]) -> None:
    """In any order, as long as there is room."""
    one, two, three = of(a), of(b), of(c)
    assert one.merged(two) == two.merged(one) == of(a + b)
    assert one.merged(two).merged(three) == one.merged(two.merged(three))


@given(KEYS, KEYS, KEYS, st.integers(1, 12))
def test_no_count_is_lost(a: list[str], b: list[str], c: list[str], limit: int) -> None:
    """Past the limit, what goes is counted as other; no count is too large."""
    one, two, three = (of(keys, limit) for keys in (a, b, c))
    assert one.merged(two) == two.merged(one)
    for merged in (one.merged(two).merged(three), one.merged(two.merged(three))):
        assert merged.total == len(a + b + c)
        assert len(merged) <= limit
        assert all(merged[key] <= (a + b + c).count(key) for key in merged)


def test_a_million_keys_do_not_push_out_the_common_ones() -> None:
    """Nor do four processes that met others each."""
    merged = Counts(64)
    for process in range(4):
        counts = Counts(64)
        for n in range(20_000):
            counts.add(f"{process} {n}")
            if n % 10 == 0:
                counts.add("common")
        merged = merged.merged(counts)
    assert merged.most(1)[0][0] == "common"
    assert merged["common"] > 7900
    assert merged.total == 88_000
    assert len(merged) <= 64


def test_common_keys_do_not_push_out_a_rare_one() -> None:
    """It stays beside them, as long as there is room for all."""
    counts = of(["rare"], limit=16)
    for n in range(100_000):
        counts.add(f"common {n % 15}")
    assert counts["rare"] == 1


def test_rare_keys_stay_among_common_ones() -> None:
    """Of too many, some that were seen once are kept as examples."""
    counts = Counts(40)
    for n in range(400):
        counts.add(f"common {n % 20}", 100)
        counts.add(f"rare {n}")
    assert sum(key.startswith("rare") for key in counts) >= 10


@given(KEYS, st.integers(1, 50))
def test_they_are_read_back(keys: list[str], limit: int) -> None:
    """As they were written."""
    counts = of(keys, limit)
    assert Counts.from_dict(counts.to_dict(), limit) == counts


@pytest.mark.parametrize(
    "data",
    [
        *(None, 1, {}, {"counts": []}, {"counts": 5, "other": 0}),
        *({"counts": [["a"]], "other": 0}, {"counts": [["a", -1]], "other": 0}),
        *({"counts": [[1, 1]], "other": 0}, {"counts": [], "other": 1.5}),
        {"counts": [], "other": 2**70},
    ],
)
def test_damage_is_a_value_error(data: object) -> None:
    """And nothing else."""
    with pytest.raises(ValueError, match="Damaged"):
        Counts.from_dict(data, 10)


def test_the_most_frequent_come_first() -> None:
    """Equals in the order of their keys, so that no run differs from another."""
    assert of(["b", "a", "c", "c"]).most() == [("c", 2), ("a", 1), ("b", 1)]


PAIRS = st.lists(
    st.tuples(st.sampled_from(["$.a", "$.b", "$.c\n"]), st.sampled_from(["value"]))
)


@given(st.lists(PAIRS, max_size=20), st.sets(st.sampled_from(["$.a", "$.b", "$.c\n"])))
def test_an_exchange_agrees_if_all_that_differs_is_excused(
    exchanges: list[list[tuple[str, str]]], paths: set[str]
) -> None:
    """And not if only a part is, or if nothing is known."""
    differences = Differences()
    for pairs in exchanges:
        differences.add(pairs)
    excused = {entry(path, "value") for path in paths}
    expected = sum(bool(e) and {p for p, _ in e} <= paths for e in exchanges)
    assert differences.explained_by(excused) == expected
    assert differences.count == len(exchanges)


def test_a_kind_is_not_excused_by_another() -> None:
    """A value that changes is no value that is missing."""
    differences = Differences()
    differences.add([("$.a", "missing")])
    assert differences.explained_by({entry("$.a", "value")}) == 0


@pytest.mark.parametrize(("pairs", "is_whole"), [(1, False), (16, True), (100, True)])
def test_what_may_not_be_all_is_never_excused(pairs: int, is_whole: bool) -> None:
    """Something else may differ as well."""
    differences = Differences()
    names = [(f"$.n{n}", "value") for n in range(pairs)]
    differences.add(names, is_whole=is_whole)
    assert differences.explained_by({entry(*name) for name in names}) == 0


def test_shapes_that_are_held_no_more_are_not_excused() -> None:
    """What is not known agrees with nothing."""
    differences = Differences()
    for n in range(5000):
        differences.add([("$.a", "value"), (f"$.n{n}", "value")])
    everything = {"value $.a", *(f"value $.n{n}" for n in range(5000))}
    assert differences.explained_by(everything) <= 512
    assert differences.count == 5000


def test_long_paths_are_cut_but_stay_apart() -> None:
    """By a hash of what was cut off."""
    one, two = entry("$." + "a" * 1000, "value"), entry("$." + "a" * 999 + "b", "value")
    assert one != two
    assert len(one) == len(two) == 200
    assert entry("$.\udcff" + "a" * 1000, "value")
