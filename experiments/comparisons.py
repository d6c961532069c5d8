"""One method against another at the same bytes, tested.

Sentences that say *better* are made from corrected tests, here and nowhere
else.
"""

from typing import Dict, List, NamedTuple, Optional, Tuple

from experiments import pages, significance, study
from experiments.study import Point, Study

LEVEL = 0.05  # Of a test, after correction.


class Test(NamedTuple):
  """One method against another at one rate.

  Attributes:
    setting: PRO's lambda.
    first: what the second is compared with.
    second: what may be better.
    seeds: those that both have; None where the first has no seeds, and is
      compared with each of the second's.
    difference: second minus first.
    p: of the difference, corrected for the tests it stands with.
  """

  setting: str
  first: Point
  second: Point
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
    parts.append(f"not shown to differ at {', '.join(found[''])}")
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


def render_enhancement(study_: Study) -> str:
  """PRO-E against PRO, which have the same bytes."""
  return _render(study_, "pro-e", "pro", "PRO-E", "PRO")


def render_pca(study_: Study) -> str:
  """PRO against PCA at as many bytes."""
  return _render(study_, "pro", "pca-at-pro", "PRO", "PCA")
