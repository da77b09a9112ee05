"""Laws of score against size, fitted to points that were measured on the same rows.

Points are means over the same rows and so depend on each other. What a fit is worth is found by
drawing rows (or clusters of them) again, and fitting the law to each draw's points. Everything is
seeded and pure. x is positive; z = ln x throughout.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf, log, sqrt

import numpy as np

from trivium.errors import UsageError
from trivium.evals.intervals import (
    CONFIDENCE,
    MAX_UNITS,
    NORMAL,
    Codes,
    Floats,
    Interval,
    student,
    totals,
)

RESAMPLES = 1_000
STEPS = 80
"""Of Levenberg and Marquardt at most; the laws of these draws take some ten."""
MAX_EXPONENT = 8.0
MAX_SLOPE = 25.0
"""Beyond these a law is a step between two points, and the data cannot tell how steep."""
NEAR = 1e-4
"""So near to its bound a parameter is on it."""


@dataclass(frozen=True, slots=True)
class Law:
    """A family of curves over z = ln x with bounded parameters.

    `predict` takes parameters (n, p) and z (m,) to values (n, m), `slopes` to their derivatives
    (n, m, p). `shown` turns parameters into what is reported, which is monotone in each.
    """

    name: str
    formula: str
    names: tuple[str, ...]
    low: Floats
    high: Floats
    starts: Floats
    predict: Callable[[Floats, Floats], Floats]
    slopes: Callable[[Floats, Floats], Floats]
    shown: Callable[[Floats], Floats]


@dataclass(frozen=True, slots=True)
class Jump:
    """The step between neighbouring points that leaves the law the most.

    `p`: how often a step so large, in units of its own noise, comes about when the law is true.
    """

    at: int
    seen: float
    expected: float
    p: float


@dataclass(frozen=True, slots=True)
class Fit:
    """A law and what the rows say of it. Intervals are of the sampling of rows, and nothing else.

    `residual` is the sum of squares, `explained` the share of the points' spread that the law
    follows. `aicc` is None where there are too few points for it, `jump` where the law leaves no
    freedom. `draws` are the parameters of each resample: (resamples, p).
    """

    law: Law
    parameters: Floats
    draws: Floats
    intervals: tuple[Interval, ...]
    residual: float
    explained: float
    aicc: float | None
    jump: Jump | None
    units: int

    def at(self, x: Floats) -> tuple[Floats, Floats, Floats]:
        """The curve and its band at `x`: three arrays (m,)."""
        z = np.log(x)
        middle = self.law.predict(self.parameters[None], z)[0]
        low, high = np.quantile(self.law.predict(self.draws, z), _shares(self.units), axis=0)
        return middle, np.minimum(low, middle), np.maximum(high, middle)


def power_law(z: Floats, top: float | None = None) -> Law:
    """y = a + b (x/x0)^-c, of loss (Kaplan et al. 2020; Hoffmann et al. 2022), x0 the least x.

    With `top` it is the law of what is missing to it, as error = top - score: y = top - a - b ...
    a is where y ends, b how far it is from there at x0, c the exponent; none is negative.
    """
    first = float(z.min())
    sign, base, most = (1.0, 0.0, inf) if top is None else (-1.0, top, top)

    def falling(theta: Floats, at: Floats) -> Floats:
        return np.asarray(np.exp(-theta[:, 2:3] * (at - first)))

    def predict(theta: Floats, at: Floats) -> Floats:
        return base + sign * (theta[:, :1] + theta[:, 1:2] * falling(theta, at))

    def slopes(theta: Floats, at: Floats) -> Floats:
        part = falling(theta, at)
        return sign * np.stack(
            [np.ones_like(part), part, -theta[:, 1:2] * part * (at - first)], axis=2
        )

    return Law(
        "power law",
        "a + b·(x/x0)^-c" if top is None else f"{top:g} - a - b·(x/x0)^-c",
        ("a", "b", "c"),
        np.array([0.0, 0.0, 0.0]),
        np.array([most, most, MAX_EXPONENT]),
        np.array([[0.1, 0.5, c] for c in (0.05, 0.3, 1.0, 4.0)]) * (1 if top is None else top),
        predict,
        slopes,
        lambda theta: theta,
    )


def logistic(z: Floats, chance: float) -> Law:
    """y = chance + (1 - chance) / (1 + (x/m)^-s): from chance to 1, halfway at x = m."""
    reach = max(float(np.ptp(z)), log(10.0))
    span = 1.0 - chance

    def share(theta: Floats, at: Floats) -> Floats:
        from scipy.special import expit

        return np.asarray(expit(theta[:, 1:2] * (at - theta[:, :1])))

    def slopes(theta: Floats, at: Floats) -> Floats:
        steep = span * share(theta, at) * (1 - share(theta, at))
        return np.stack([-steep * theta[:, 1:2], steep * (at - theta[:, :1])], axis=2)

    return Law(
        "logistic",
        f"{chance:.4g} + {span:.4g} / (1 + (x/m)^-s)",
        ("m", "s"),
        np.array([float(z.min()) - 3 * reach, 0.0]),
        np.array([float(z.max()) + 3 * reach, MAX_SLOPE]),
        np.array([[at, s] for at in np.quantile(z, (0.1, 0.5, 0.9)) for s in (0.5, 4.0)]),
        lambda theta, at: chance + span * share(theta, at),
        slopes,
        lambda theta: np.stack([np.exp(theta[:, 0]), theta[:, 1]], axis=1),
    )


def fit(law: Law, x: Floats, values: Floats, clusters: Codes, resamples: int = RESAMPLES) -> Fit:
    """`law` through the points that are the means of the columns of `values`.

    Args:
        x: (points,), positive and increasing.
        values: (rows, points), each row measured at every point.
        clusters: (rows,), equal for rows that depend on each other.

    Raises:
        UsageError: when the law has more parameters than there are points, or there is but one
            independent unit.
    """
    count, points = len(law.names), x.size
    if count > points:
        raise UsageError(
            f"the {law.name} has {count} parameters and there are {points} points; "
            f"measure at least {count} to fit it"
        )
    z, means = np.log(x), values.mean(axis=0)
    drawn = draw(values, clusters, resamples)
    best = _search(law, z, means)
    draws = refit(law, z, drawn, best)
    units = int(clusters.max()) + 1
    residual = float(((means - law.predict(best[None], z)[0]) ** 2).sum())
    intervals = tuple(
        _interval(float(value), column, units)
        for value, column in zip(law.shown(best[None])[0], law.shown(draws).T, strict=True)
    )
    spread = float(((means - means.mean()) ** 2).sum())
    return Fit(
        law,
        best,
        draws,
        intervals,
        residual,
        1 - residual / spread if spread > 0 else 1.0,
        aicc(residual, points, count),
        _jump(law, z, means, drawn, best) if count < points else None,
        units,
    )


def aicc(residual: float, points: int, count: int) -> float | None:
    """Akaike's criterion for small samples (Hurvich & Tsai 1989, Biometrika 76:297).

    `residual` is the sum of squares, `count` the law's parameters; the variance is one more. None
    where it is undefined, with fewer than `count` + 3 points.
    """
    k = count + 1
    if points <= k + 1:
        return None
    variance = max(residual / points, 1e-12)  # a perfect fit is no infinitely good one
    return points * log(variance) + 2 * k + 2 * k * (k + 1) / (points - k - 1)


def draw(values: Floats, clusters: Codes, resamples: int, seed: int = 0) -> Floats:
    """The points of `resamples` draws of whole clusters: (resamples, points)."""
    units = int(clusters.max()) + 1
    if units < 2:
        raise UsageError("the rows are one cluster; an interval needs at least two")
    sums = np.stack([totals(column, clusters) for column in values.T], axis=1)
    sizes = totals(np.ones(clusters.size), clusters)
    rng = np.random.default_rng(seed)
    if units > MAX_UNITS:  # random blocks of independent units are independent units
        order = rng.permutation(units)
        starts = np.linspace(0, units, MAX_UNITS, endpoint=False).astype(np.int64)
        sums, sizes = (np.add.reduceat(part[order], starts) for part in (sums, sizes))
        units = MAX_UNITS
    counts = rng.multinomial(units, np.full(units, 1 / units), resamples).astype(np.float64)
    return np.asarray(counts @ sums / (counts @ sizes)[:, None])


def _search(law: Law, z: Floats, means: Floats) -> Floats:
    """The least squares of all starts, within the law's bounds."""
    from scipy.optimize import least_squares

    found = [
        least_squares(
            lambda theta: law.predict(theta[None], z)[0] - means,
            np.clip(start, law.low + 1e-9, law.high - 1e-9),
            lambda theta: law.slopes(theta[None], z)[0],
            bounds=(law.low, law.high),
            xtol=1e-12,
            ftol=1e-12,
            gtol=1e-12,
        )
        for start in law.starts
    ]
    best = np.asarray(min(found, key=lambda one: float(one.cost)).x)
    best = np.where(best - law.low < NEAR, law.low, best)  # scipy stays inside, and comes near
    return np.asarray(np.where(law.high - best < NEAR, law.high, best))


def refit(law: Law, z: Floats, means: Floats, start: Floats) -> Floats:
    """The law's least squares for many sets of points at once: (n, points) to (n, p).

    Levenberg and Marquardt with parameters held while they push against their bound. A thousand
    fits take as long as a few of scipy's; each also starts anew, against a local minimum.
    """
    best = _descend(law, z, means, start)
    least = _loss(law, z, means, best)
    for other in law.starts:
        found = _descend(law, z, means, other)
        loss = _loss(law, z, means, found)
        closer = loss < least - 1e-12
        best[closer], least[closer] = found[closer], loss[closer]
    return best


def _loss(law: Law, z: Floats, means: Floats, theta: Floats) -> Floats:
    return np.asarray(((means - law.predict(theta, z)) ** 2).sum(axis=1))


def _descend(law: Law, z: Floats, means: Floats, start: Floats) -> Floats:
    """From `start` downhill, each set of points until it is settled."""
    theta = np.clip(np.tile(start, (len(means), 1)), law.low, law.high)
    damping = np.full(len(means), 1e-3)
    loss = _loss(law, z, means, theta)
    live = np.arange(len(means))
    for _ in range(STEPS):
        trial = _step(law, z, means[live], theta[live], damping[live])
        reached = _loss(law, z, means[live], trial)
        gain = loss[live] - reached
        closer = gain > 0
        better = live[closer]
        theta[better], loss[better] = trial[closer], reached[closer]
        damping[live] = np.where(closer, damping[live] / 5, damping[live] * 6)
        settled = np.where(closer, gain <= 1e-10 * reached + 1e-18, damping[live] > 1e6)
        live = live[~settled]
        if not live.size:
            break
    return theta


def _step(law: Law, z: Floats, means: Floats, theta: Floats, damping: Floats) -> Floats:
    """Where one damped Gauss-Newton step leads, within the bounds: (n, p)."""
    index = np.arange(theta.shape[1])
    slopes = law.slopes(theta, z)
    pull = np.einsum("nmp,nm->np", slopes, means - law.predict(theta, z))
    held = ((theta <= law.low) & (pull < 0)) | ((theta >= law.high) & (pull > 0))
    slopes = np.where(held[:, None, :], 0.0, slopes)
    curve = slopes.transpose(0, 2, 1) @ slopes
    curve[:, index, index] += damping[:, None] * curve[:, index, index] + 1e-12 + held
    step = np.linalg.solve(curve, np.where(held, 0.0, pull)[..., None])[..., 0]
    return np.asarray(np.clip(theta + step, law.low, law.high))


def _jump(law: Law, z: Floats, means: Floats, drawn: Floats, best: Floats) -> Jump:
    """Whether the largest step beyond the law is more than the noise of the rows.

    Draws are moved onto the fitted law, where it is true by construction, and fitted again; what
    they then leave unexplained is noise alone (the bootstrap of a fitted model, Efron & Tibshirani
    1993, chapter 16).
    """
    fitted = law.predict(best[None], z)[0]
    null = fitted + drawn - means
    noise = np.diff(null - law.predict(refit(law, z, null, best), z), axis=1)
    spread = noise.std(axis=0)
    spread = np.where(spread > 1e-9, spread, inf)  # the law can follow such a step whatever it is
    steps = np.diff(means - fitted)
    sizes = np.abs(steps) / spread
    at = int(np.argmax(sizes))
    reached = (np.abs(noise) / spread).max(axis=1) >= sizes[at]
    p = (1 + int(reached.sum())) / (1 + len(drawn))
    return Jump(at, float(np.diff(means)[at]), float(np.diff(fitted)[at]), p)


def _shares(units: int) -> list[float]:
    """Percentiles of the draws, widened for few units (Hesterberg 2015, Am. Stat. 69:371)."""
    wide = student(units - 1, CONFIDENCE) * sqrt(units / (units - 1))
    return [NORMAL.cdf(-wide), NORMAL.cdf(wide)]


def _interval(value: float, draws: Floats, units: int) -> Interval:
    low, high = np.quantile(draws, _shares(units))
    return Interval(value, min(float(low), value), max(float(high), value), units, "bootstrap")
