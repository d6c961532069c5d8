"""One method against another at the same bytes, tested.

Sentences that say *better* are made from corrected tests, here and nowhere
else.
"""

from typing import Dict, List, NamedTuple, Optional, Tuple

import numpy as np

from experiments import pages, rates, significance, study
from experiments.study import Point, Study

LEVEL = 0.05  # Of a test, after correction.
# What PRO is compared with at bits that it has no codec for, and the training
# that has the seeds for it.
PEERS = ("sq", "sq-e", "pq", "opq", "rq", "ksh", "dhn", "itq", "lsh")
PEER_EPOCHS = 40


class Test(NamedTuple):
  """One method against another at one rate.

  Attributes:
    setting: PRO's lambda.
    first: what the second is compared with.
    second: what may be better; None where it is interpolated.
    seeds: those that both have; None where the first has no seeds, and is
      compared with each of the second's.
    difference: second minus first.
    p: of the difference, corrected for the tests it stands with.
  """

  setting: str
  first: Point
  second: Optional[Point]
  seeds: Optional[List[int]]
  difference: significance.Difference
  p: float


def _compare(
  pairs: List[Tuple[Point, Point]], normalized: bool, num_pairs: int
) -> List[Test]:
  """Tests the second of each pair against the first, corrected together."""
  found = []
  for first, second in pairs:
    alone = None in first.runs
    seeds = None if alone else sorted(set(first.runs) & set(second.runs))
    hits = (point.hits(normalized, seeds) for point in (first, second))
    difference = significance.bootstrap(*hits, num_pairs)
    found.append(
      Test(second.setting, first, second, seeds, difference, difference.p)
    )
  corrected = significance.holm([test.p for test in found])
  return [test._replace(p=p) for test, p in zip(found, corrected)]


def _mcnemar(test: Test, normalized: bool) -> str:
  """The range over seeds of the exact test's p."""
  p_values = []
  for seed in test.seeds or test.second.runs:
    runs = (
      test.first.runs[seed if test.seeds else None],
      test.second.runs[seed],
    )
    wrong = (study.metrics(run, normalized)["wrong_pairs"] for run in runs)
    p_values.append(significance.mcnemar(*wrong).p)
  ends = dict.fromkeys((_p(min(p_values)), _p(max(p_values))))
  return " to ".join(ends)


def _p(value: float) -> str:
  return "< 0.001" if value < 0.001 else f"{value:.3f}"


def outcome(test: Test) -> str:
  """What a test carries: better, worse, or nothing."""
  if test.p >= LEVEL or not test.difference.seeds_agree:
    return ""
  return "better" if test.difference.points > 0 else "worse"


def verdict(name: str, other: str, tests: List[Test]) -> str:
  """A sentence that claims what the corrected tests carry, and no more.

  Args:
    name: of the second method of each test.
    other: of the first.
    tests: corrected together.

  Returns:
    Where it is better, where worse, and where no difference is shown.
  """
  found: Dict[str, List[str]] = {"better": [], "worse": [], "": []}
  for test in tests:
    found[outcome(test)].append(test.setting)
  parts = [
    f"{sign} than {other} at {', '.join(found[sign])}"
    for sign in ("better", "worse")
    if found[sign]
  ]
  if found[""]:
    parts.append(f"not shown to differ from {other} at {', '.join(found[''])}")
  return f"{name} is {'; '.join(parts)}."


def compare(
  study_: Study, second: str, first: str
) -> List[Tuple[int, bool, List[Test]]]:
  """One method against another, point by point at the same bytes.

  Args:
    study_: the study.
    second: a method, a key of `study.LABELS`.
    first: what it is compared with.

  Returns:
    For each of PRO's epochs, as decoded and normalized (True): the tests of
    the rates that both methods have, corrected together.
  """
  found = []
  for epochs in study_.epochs():
    pairs = []
    for point in study_.curve(second, epochs):
      against = study_.point(first, point.setting, epochs)
      # Without a seed in common there is nothing to pair.
      if against and (
        None in against.runs or set(against.runs) & set(point.runs)
      ):
        pairs.append((against, point))
    for normalized in (False, True) if pairs else ():
      tests = _compare(pairs, normalized, study_.num_pairs)
      found.append((epochs, normalized, tests))
  return found


def _render(
  study_: Study, second: str, first: str, name: str, other: str
) -> str:
  """Sentences and a table: one method against another at the same bytes."""
  sentences, rows, used = [], [], []
  for epochs, normalized, tests in compare(study_, second, first):
    convention = "normalized" if normalized else "as decoded"
    which = f"{study.epochs_in_words(epochs)}, {convention}"
    sentences.append(f"* {which}: {verdict(name, other, tests)}")
    for test in tests:
      points, difference = (test.first, test.second), test.difference
      used += points
      hits = [point.hits(normalized, test.seeds) for point in points]
      accuracies = [significance.accuracy(h, study_.num_pairs) for h in hits]
      rows.append(
        [
          test.setting,
          which,
          *(f"{accuracy:.2f}" for accuracy in accuracies),
          pages.signed(difference.points),
          f"{difference.low:+.2f} to {difference.high:+.2f}",
          _p(test.p),
          _p(difference.p),
          _mcnemar(test, normalized),
          *(f"{point.bits:.1f}" for point in points),
          str(len(hits[1])),
        ]
      )
  if not rows:
    return "*Not measured.*"
  head = (
    *("<lambda", "<", f"{other}, %", f"{name}, %", "difference, points"),
    *("95 % interval", "p, Holm", "p", "p, McNemar, each seed"),
    *(f"bits per face, {other}", f"bits per face, {name}", "seeds"),
  )
  return "\n".join(
    [*sentences, "", pages.table(head, rows), "", pages.sources(used)]
  )


def interpolated(
  points: List[Point], bits: float, normalized: bool = False
) -> Optional[np.ndarray]:
  """Correct pairs of each seed and fold at a rate between measured ones.

  Args:
    points: a method's, in order of rate.
    bits: per face.
    normalized: on decoded features of unit length.

  Returns:
    float64 [seeds, 10], of the seeds that have every point; None where there
    are none, or where the rate lies beyond what one of them measured.
  """
  found = []
  shared = [set(point.runs) for point in points]
  for seed in sorted(set.intersection(*shared)) if shared else []:
    runs = sorted(
      (point.runs[seed] for point in points),
      key=lambda run: run["bits_per_feature"],
    )
    hits = [
      study.metrics(run, normalized)["correct_pairs_per_fold"] for run in runs
    ]
    found.append(
      rates.interpolate(
        np.array([run["bits_per_feature"] for run in runs]),
        np.array(hits, np.float64),
        bits,
      )
    )
  if not found or any(hits is None for hits in found):
    return None
  return np.array(found)


def _against(study_: Study, family: str, normalized: bool) -> List[Test]:
  """PRO by the paper's recipe, interpolated at another method's rates.

  Args:
    study_: the study.
    family: the method, a key of `study.LABELS`.
    normalized: on decoded features of unit length.

  Returns:
    A test for each of its points between PRO's rates, corrected together.
  """
  found = []
  for point in study_.curve(family):
    hits = interpolated(
      study_.curve("pro", PEER_EPOCHS), point.bits, normalized
    )
    if hits is not None:
      difference = significance.bootstrap(
        point.hits(normalized), hits, study_.num_pairs
      )
      setting = f"{point.bits:.0f} bits"
      found.append(Test(setting, point, None, None, difference, difference.p))
  corrected = significance.holm([test.p for test in found])
  return [test._replace(p=p) for test, p in zip(found, corrected)]


def peer_sentences(study_: Study, normalized: bool) -> List[str]:
  """What the tests carry of PRO against each other method, a line for each."""
  lines = []
  for family in PEERS:
    tests = _against(study_, family, normalized)
    if tests:
      lines.append(f"* {verdict('PRO', study.label(family), tests)}")
  return lines


def render_peers(study_: Study) -> str:
  """PRO against every other method at its bits."""
  lines, rows, used = [], [], []
  for normalized in (False, True):
    convention = "normalized" if normalized else "as decoded"
    lines += [f"{convention.capitalize()}:", ""]
    lines += [*peer_sentences(study_, normalized), ""]
    for family in PEERS:
      for test in _against(study_, family, normalized):
        used.append(test.first)
        first = significance.accuracy(
          test.first.hits(normalized), study_.num_pairs
        )
        difference = test.difference
        rows.append(
          [
            test.first.label,
            convention,
            f"{test.first.bits:.1f}",
            f"{first:.2f}",
            f"{first + difference.points:.2f}",
            pages.signed(difference.points),
            f"{difference.low:+.2f} to {difference.high:+.2f}",
            _p(test.p),
            _p(difference.p),
          ]
        )
  if not rows:
    return "*Not measured.*"
  used += study_.curve("pro", PEER_EPOCHS)
  head = (
    *("<method", "<", "bits per face", "its accuracy, %", "PRO, %"),
    *("difference, points", "95 % interval", "p, Holm", "p"),
  )
  return "\n".join([*lines, pages.table(head, rows), "", pages.sources(used)])


def render_enhancement(study_: Study) -> str:
  """PRO-E against PRO, which have the same bytes."""
  return _render(study_, "pro-e", "pro", "PRO-E", "PRO")


def render_pca(study_: Study) -> str:
  """PRO against PCA at as many bytes."""
  return _render(study_, "pro", "pca-at-pro", "PRO", "PCA")
