"""Compiled half of the package isthmus; use the package."""

class Loaded:
    @property
    def name(self) -> str: ...
    @property
    def json(self) -> str: ...
    @property
    def notices(self) -> list[str]: ...
    @property
    def replications(self) -> int: ...
    @property
    def alternatives(self) -> list[str]: ...

def load(path: str, overrides: list[tuple[str, str]]) -> Loaded: ...
def load_text(text: str, overrides: list[tuple[str, str]], folder: str) -> Loaded: ...
def run(
    loaded: Loaded, replication: int, directory: str, csv: bool, html: bool, trace: bool
) -> str: ...
def compare(
    loaded: Loaded, axes: list[tuple[str, list[str]]], threads: int, directory: str
) -> tuple[str, str, list[list[str]]]: ...
def explain(
    *,
    model: str,
    device: str,
    scenario: str,
    service: str,
    variant: str,
    profile: str,
    batch: int,
    sequence: int,
    context: int,
    image_tokens: int,
    parallel: int,
    data_parallel: int,
    pipeline: int,
    overrides: list[tuple[str, str]],
) -> str: ...
def calibrate(
    *,
    scenario: str,
    measured: str,
    service: str,
    format: str,
    unit: str,
    prompt_tokens: int | None,
    output_tokens: int | None,
    tokens_per_hash: int,
    experiment: int | None,
    model: str,
    fit_share: float,
    random_split: bool,
    seed: int,
    parameters: list[str],
    kv_blocks: int | None,
    overrides: list[tuple[str, str]],
    threads: int,
    out: str,
) -> tuple[str, str, str]: ...
def schedule(
    *,
    model: str,
    device: str,
    scenario: str,
    service: str,
    units: list[str],
    scheduler: str,
    variant: str,
    batch: int,
    sequence: int,
    image: int,
    compare: bool,
    overrides: list[tuple[str, str]],
) -> tuple[str, str]: ...
def split(
    *,
    model: str,
    tiers: list[str],
    bandwidth: list[float],
    down_bandwidth: list[float],
    rtt: list[float],
    slowdown: list[float],
    variant: str,
    batch: int,
    sequence: int,
    image: int,
    input: float,
    result: float,
    radio_power: float,
    latency_weight: float,
    energy_weight: float,
    encode: list[str],
    accuracy_loss: float,
    overrides: list[tuple[str, str]],
) -> str: ...
def add_policy(
    *,
    kind: str,
    name: str,
    type: type,
    summary: str,
    source: str,
    bad_idea_when: str,
    complexity: str,
    parameters: list[tuple[str, str, float | str, float, float, list[str], str]],
) -> None: ...
def report(summary: str) -> str: ...
def schema() -> str: ...
def policies() -> list[tuple[str, str, str, str, str, list[tuple[str, float | str, str]]]]: ...
