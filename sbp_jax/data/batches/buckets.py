"""Bucket lengths with the least padding; needs NumPy alone."""

from itertools import pairwise

import numpy as np

from sbp_jax.errors import InputError

COUNT = 5  # trades compiled shapes against padding: under 15 % for plays of 15 to 60 frames


def choose_buckets(lengths: np.ndarray, count: int = COUNT, batch_size: int = 1) -> tuple[int, ...]:
    """Return at most `count` bucket lengths whose batches have the fewest frames, hence the least padding.

    The solution is exact, by dynamic programming over the distinct lengths l_1 < ... < l_D, with C_j plays of at most
    l_j frames. Plays that do not fill a batch of their bucket move to the next longer one (`epochs.Epochs`), so that
    floor(C_j / B) batches end at bucket l_j or before, and ceil(C_D / B) at the last:
    frames(j, k) = min over i < j of frames(i, k - 1) + B l_j (floor(C_j / B) - floor(C_i / B)),  in O(count D^2).
    Ties are broken by the padding of the plays, each in its own bucket.

    Args:
        lengths: int `[N]`, number of frames of each play, at least one play.
        count: maximum number of buckets; the result has fewer if there are fewer distinct lengths.
        batch_size: B, rows of a batch; 1 counts only each play's own padding.

    Raises:
        InputError: there are no plays, or a length, the count or the batch size is below 1.
    """
    lengths = np.asarray(lengths)
    if len(lengths) == 0 or lengths.min() < 1:
        raise InputError("lengths: expected at least one play, each of at least one frame")
    if count < 1:
        raise InputError(f"count: expected at least one bucket, got {count}")
    if batch_size < 1:
        raise InputError(f"batch_size: expected at least 1, got {batch_size}")
    distinct, plays = np.unique(lengths, return_counts=True)
    plays_before = np.concatenate([[0], np.cumsum(plays)])
    slots_before = plays_before // batch_size * batch_size
    slots_before[-1] = -(-plays_before[-1] // batch_size) * batch_size
    # cost[i, j]: lengths i to j share the bucket of length j; the integer part counts frames, the fraction breaks ties
    slots, frames = (
        distinct[None, :] * (before[None, 1:] - before[:-1, None]) for before in (slots_before, plays_before)
    )
    cost = slots + frames / (1.0 + len(lengths) * distinct[-1])
    cost[np.tril_indices(len(distinct), -1)] = np.inf
    best, choices = cost[0], []
    for _ in range(min(count, len(distinct)) - 1):
        totals = best[:-1, None] + cost[1:]
        choices.append(np.argmin(totals, axis=0))
        best = np.min(totals, axis=0)
    end, ends = len(distinct) - 1, []
    for choice in reversed(choices):
        ends.append(end)
        end = int(choice[end])
    return tuple(int(distinct[e]) for e in reversed([*ends, end]))


def fit_buckets(buckets: tuple[int, ...] | None, lengths: np.ndarray, batch_size: int = 1) -> tuple[int, ...]:
    """Return buckets that cover plays of these lengths: the given ones, or those of `choose_buckets` if None.

    Plays longer than the longest given bucket get their own, appended at the next multiple of 8 frames.

    Raises:
        InputError: the buckets do not increase or do not start at 1 or more.
    """
    if buckets is None:
        return choose_buckets(lengths, batch_size=batch_size)
    if not buckets or buckets[0] < 1 or any(b <= a for a, b in pairwise(buckets)):
        raise InputError(f"buckets: expected increasing numbers of frames, got {buckets}")
    longest = int(np.max(lengths, initial=0))
    return tuple(buckets) if longest <= buckets[-1] else (*buckets, -(-longest // 8) * 8)
