"""Discrete-event simulator of edge-cloud inference systems.

>>> import isthmus
>>> result = isthmus.run("scenarios/minimal.json")
>>> result.metrics["latency.mean"]
>>> isthmus.compare("scenarios/quickstart.json").verdict
"""

from isthmus.calibration import Calibration, calibrate
from isthmus.costs import break_even
from isthmus.errors import Error, InputError, InternalError
from isthmus.experiments import Comparison, compare, sweep
from isthmus.explanation import Explanation, explain
from isthmus.policy import Parameter, policy
from isthmus.results import Result
from isthmus.scenario import Scenario, load, loads, policies, run, schema, validate
from isthmus.scheduling import Schedule, schedule
from isthmus.splitting import Split, split

__all__ = [
    "Calibration",
    "Comparison",
    "Error",
    "Explanation",
    "InputError",
    "InternalError",
    "Parameter",
    "Result",
    "Scenario",
    "Schedule",
    "Split",
    "break_even",
    "calibrate",
    "compare",
    "explain",
    "load",
    "loads",
    "policies",
    "policy",
    "run",
    "schedule",
    "schema",
    "split",
    "sweep",
    "validate",
]
