"""What a codec costs its sender and its receiver."""

from typing import Dict, NamedTuple


class Cost(NamedTuple):
  """The cost of one side.

  Attributes:
    parameters: numbers that it keeps, whatever they are for.
    multiply_adds: for one feature.
  """

  parameters: int
  multiply_adds: int


# By side: "sender" and "receiver".
Costs = Dict[str, Cost]


def add_tables(costs: Costs, parameters: int) -> Costs:
  """Costs with the entropy coder's tables, which both sides keep."""
  return {
    side: cost._replace(parameters=cost.parameters + parameters)
    for side, cost in costs.items()
  }


def as_json(costs: Costs) -> Dict[str, Dict[str, int]]:
  """`parameters` and `multiply_adds`, each by side, as results have them."""
  return {
    field: {side: int(getattr(cost, field)) for side, cost in costs.items()}
    for field in Cost._fields
  }
