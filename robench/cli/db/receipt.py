"""What was taken in, in words."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from robench.storage.receiving import Receipt


def describe(receipt: "Receipt") -> str:
    """Say how much was new and how much was known."""
    from robench.session.wording import count_of

    new = (
        f"{count_of(receipt.runs, 'runs')}, {count_of(receipt.cells, 'cells')} and "
        f"{count_of(receipt.outcomes, 'outcomes')} are new"
    )
    were = "was" if receipt.known_outcomes == 1 else "were"
    return f"{new}; {count_of(receipt.known_outcomes, 'outcomes')} {were} there already"
