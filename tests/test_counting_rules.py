"""What an answer counts: releases or persons, gross or net, under each citizenship or one."""

from hypothesis import given, settings
from small_claims import some_claims, states
from worlds import allowed, fewest_alone, is_open, subsets

from ledger.bounds.bounding import bound
from ledger.bounds.claims import Claim


@given(some_claims, states)
@settings(max_examples=120)
def test_who_holds_one_citizenship_only(claims: list[Claim], state: str | None) -> None:
    """The low of a citizenship, less those who hold another one, too, is how many hold it alone at
    least in any small world of any of the claims that can hold together."""
    answer = bound(claims, state)

    agreed = [one for one in subsets(len(claims)) if allowed([claims[i] for i in one], state)]
    for chosen in agreed:
        if not any(chosen < other for other in agreed):
            together = [claims[index] for index in sorted(chosen)]
            for name, bounds in answer.citizenships.items():
                low = max(0, bounds.low - answer.several.get(name, 0))
                fewest = fewest_alone(together, name, state)
                assert low <= fewest
                assert low == fewest or answer.disputed or is_open(claims)
