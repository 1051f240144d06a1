"""What the tool says about samples: medians, spreads, ratios of pairs, and whether a figure holds."""

import statistics

LARGEST_TOLERANCE = 0.03
MOST_CAN_DIFFER = 1e-9  # of two floating-point numbers that mean the same


def median(values):
    return statistics.median(values)


def spread(values):
    """The interquartile range, inclusive."""
    if len(values) < 2:
        return 0.0
    quartiles = statistics.quantiles(values, n=4, method="inclusive")
    return quartiles[2] - quartiles[0]


def ratios(ours, peer):
    """Of the pairs that both sides have; a sample that failed is None."""
    return [a / b for a, b in zip(ours, peer) if a is not None and b is not None]


def compare(ours, peer):
    """The median of the ratios of pairs, with its spread; None without a pair."""
    of_pairs = ratios(ours, peer)
    if not of_pairs:
        return None
    return {"ratio": median(of_pairs), "iqr": spread(of_pairs), "pairs": len(of_pairs)}


def tolerance(ours, again):
    """Half the interquartile range of a benchmark against itself, at most 3 %."""
    return min(spread(ratios(again, ours)) / 2, LARGEST_TOLERANCE)


def holds(ratio, target, allowed, at_most=False):
    """Whether a ratio reaches its target, less the tolerance."""
    if at_most:
        return ratio <= target * (1 + allowed) + MOST_CAN_DIFFER
    return ratio >= target * (1 - allowed) - MOST_CAN_DIFFER


def best(speeds, among):
    """Whose speed is the highest of those in `among` that have one; None: nobody has."""
    known = {name: speeds[name] for name in among if speeds.get(name) is not None}
    return max(known, key=known.get) if known else None
