from __future__ import annotations

import math
import time
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from mtlbench.errors import SuiteError, UnknownNameError
from mtlbench.suite.overrides import apply_override
from mtlbench.suite.problems import raise_validation, unknown_name
from mtlbench.suite.yaml_source import Document, read_document


class Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Precision(Enum):
    FP32 = "fp32"
    BF16 = "bf16"


class Hardware(Closed):
    device: str = Field("cpu", pattern=r"^(cpu|cuda)$")
    threads: int = Field(1, ge=1, le=64)
    precision: Precision = Precision.FP32


class Protocol(Closed):
    epochs: int = Field(1, gt=0)
    weights: dict[str, float] = Field(default_factory=dict)
    learning_rate: float = Field(0.1, alias="lr")


class Sgd(Closed):
    kind: Literal["sgd"]
    momentum: float = 0.9


class Adam(Closed):
    kind: Literal["adam"]
    betas: tuple[float, float] = (0.9, 0.999)


class Variant(BaseModel):
    model_config = ConfigDict(extra="allow")

    name: str
    axes: dict[Annotated[str, Field(pattern="^[a-z]+$")], list[int | float | str]] = Field(
        default_factory=dict
    )


def listed(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


class Suite(Closed):
    suite: str
    launches: int = 6
    seeds: list[int] = Field(default_factory=lambda: [0], min_length=1)
    share: float = Field(0.5, le=1)
    exact: bool = True
    order: Literal["shuffled", "abba"] = "shuffled"
    hardware: Annotated[list[Hardware], BeforeValidator(listed)] = Field(default_factory=list)
    variants: list[Variant] = Field(default_factory=list)
    training: Literal["random"] | Protocol = "random"
    tasks: Literal["all"] | list[str] = "all"
    optimiser: Annotated[Sgd | Adam, Field(discriminator="kind")] | None = None
    by_name: dict[str, Hardware] = Field(default_factory=dict)

    @field_validator("seeds")
    @classmethod
    def _distinct(cls, value: list[int]) -> list[int]:
        if len(set(value)) < len(value):
            raise ValueError("holds the same value twice")
        return value

    @model_validator(mode="after")
    def _together(self) -> Suite:
        if self.launches == 13:
            raise ValueError("13 launches bring bad luck")
        return self


def read(folder: Path, text: str) -> Document:
    (folder / "a.yaml").write_text(text)
    return read_document(folder / "a.yaml")


def problem(document: Document) -> SuiteError:
    with pytest.raises(ValidationError) as refused:
        Suite.model_validate(document.value)
    with pytest.raises(SuiteError) as caught:
        raise_validation(document, refused.value, Suite)
    return caught.value


@pytest.mark.parametrize(
    ("text", "where", "what", "fix"),
    [
        ("suite: a\nlaunchs: 3", "2:1", "unknown key 'launchs'", "Did you mean 'launches'"),
        ("suite: a\nhardware: [{thread: 2}]", "2:13", "unknown key 'thread'", "Did you mean 'threads'"),
        ("suite: a\nhardware: {thread: 2}", "2:12", "unknown key 'thread'", "Did you mean 'threads'"),
        ("suite: a\ntraining: {epoch: 2}", "2:12", "unknown key 'epoch'", "Did you mean 'epochs'"),
        ("suite: a\ntraining: {lrr: 2}", "2:12", "unknown key 'lrr'", "Did you mean 'lr'"),
        ("suite: a\nby_name: {x: {devise: cpu}}", "2:15", "unknown key 'devise'", "Did you mean 'device'"),
        (
            "suite: a\noptimiser: {kind: sgd, momentun: 1}",
            "2:24",
            "unknown key 'momentun'",
            "Did you mean 'momentum'",
        ),
        (
            "suite: a\nhardware:\n  - zzz: 2",
            "3:5",
            "unknown key 'zzz'",
            "Known: device, precision, threads",
        ),
        ("launches: 3", "1:1", "key 'suite' is missing", "Add 'suite: ...' there"),
        ("suite: a\nvariants:\n  - axes: {}", "3:5", "key 'name' is missing", "Add 'name: ...' there"),
        ("suite: a\noptimiser: {momentum: 1}", "2:12", "key 'kind' is missing", "Add 'kind: ...' there"),
        ("suite: a\nlaunches: six", "2:11", "launches must be a whole number, got 'six'", None),
        ("suite: a\nlaunches: 1.5", "2:11", "launches must be a whole number, got 1.5", None),
        ("suite: a\nlaunches: [1, 2]", "2:11", "launches must be a whole number, got a list of 2", None),
        ("suite: a\nlaunches:", "2:10", "launches must be a whole number, got null", None),
        ("suite: a\nshare: {x: 1}", "2:8", "share must be a number, got a mapping", None),
        ("suite: a\nshare: 1.5", "2:8", "share must be at most 1.0, got 1.5", None),
        ("suite: a\nexact: perhaps", "2:8", "exact must be true or false, got 'perhaps'", None),
        ("suite: true", "1:8", "suite must be text, got true", None),
        ("suite: a\nseeds: []", "2:8", "seeds must be at least 1 long, got a list of 0", None),
        ("suite: a\nseeds: 3", "2:8", "seeds must be a list, got 3", None),
        ("suite: a\nseeds: [0, two]", "2:12", "seeds.1 must be a whole number, got 'two'", None),
        ("suite: a\nseeds: [1, 1]", "2:8", "seeds: holds the same value twice", None),
        ("suite: a\nlaunches: 13", "1:1", "the suite: 13 launches bring bad luck", None),
        (
            "suite: a\norder: shuffle",
            "2:8",
            "order must be 'shuffled' or 'abba', got 'shuffle'",
            "Did you mean 'shuffled'",
        ),
        ("suite: a\norder: zzz", "2:8", "order must be 'shuffled' or 'abba', got 'zzz'", None),
        (
            "suite: a\nhardware: [{}, {precision: fp23}]",
            "2:28",
            "precision must be 'fp32' or 'bf16', got 'fp23'",
            "Did you mean 'fp32'",
        ),
        ("suite: a\nhardware: [{threads: 0}]", "2:22", "threads must be at least 1, got 0", None),
        (
            "suite: a\nhardware: [{device: tpu}]",
            "2:21",
            "device must be text that matches ^(cpu|cuda)$, got 'tpu'",
            None,
        ),
        ("suite: a\nhardware: cpu", "2:11", "hardware must be a mapping, got 'cpu'", None),
        ("suite: a\nhardware: [cpu]", "2:12", "hardware.0 must be a mapping, got 'cpu'", None),
        (
            "suite: a\ntraining: randm",
            "2:11",
            "training must be 'random' or a mapping, got 'randm'",
            "Did you mean 'random'",
        ),
        ("suite: a\ntraining: {epochs: 0}", "2:20", "epochs must be greater than 0, got 0", None),
        ("suite: a\ntraining: {weights: {semseg: x}}", "2:30", "semseg must be a number, got 'x'", None),
        ("suite: a\ntasks: [depth, 3]", "2:16", "tasks.1 must be text, got 3", None),
        ("suite: a\ntasks: 3", "2:8", "tasks must be 'all' or a list, got 3", None),
        (
            "suite: a\noptimiser: {kind: adm}",
            "2:19",
            "kind must be one of 'sgd', 'adam', got 'adm'",
            "Did you mean 'adam'",
        ),
        (
            "suite: a\nvariants: [{name: x, axes: {keep: [1, {}]}}]",
            "2:39",
            "keep.1 must be a whole number or a number or text, got a mapping",
            None,
        ),
        (
            "suite: a\nvariants: [{name: x, axes: {Keep: [1]}}]",
            "2:29",
            "Keep must be text that matches ^[a-z]+$, got 'Keep'",
            None,
        ),
        ("suite: a\noptimiser: {kind: adam, betas: [1]}", "2:32", "betas.1 is missing", "Add it to the list"),
        (
            "suite: a\noptimiser: {kind: adam, betas: [1, 2, 3]}",
            "2:32",
            "betas must be at most 2 long, got a list of 3",
            None,
        ),
    ],
)
def test_each_complaint_has_its_place_and_plain_words(
    tmp_path: Path, text: str, where: str, what: str, fix: str | None
) -> None:
    error = problem(read(tmp_path, text))
    assert (str(error.where).removeprefix(f"{tmp_path}/a.yaml:"), error.what, error.fix) == (where, what, fix)
    assert isinstance(error.__cause__, ValidationError)


def test_all_complaints_are_told_each_with_its_line_and_nearest_word(tmp_path: Path) -> None:
    text = "suit: a\nlaunchs: 3\nseeds: x\nhardware:\n  - thread: 2\n  - {threads: 0}"
    error = problem(read(tmp_path, text))
    assert str(error).replace(f"{tmp_path}/", "").splitlines() == [
        "5 problems",
        "  a.yaml:1:1: unknown key 'suit'. Did you mean 'suite'.",
        "  a.yaml:2:1: unknown key 'launchs'. Did you mean 'launches'.",
        "  a.yaml:3:8: seeds must be a list, got 'x'",
        "  a.yaml:5:5: unknown key 'thread'. Did you mean 'threads'.",
        "  a.yaml:6:15: threads must be at least 1, got 0",
    ]


def test_a_missing_key_is_told_beside_an_unknown_one_that_is_not_it(tmp_path: Path) -> None:
    assert str(problem(read(tmp_path, "zzz: a"))).count("\n") == 2


def test_a_value_set_on_the_command_line_is_blamed_there(tmp_path: Path) -> None:
    document = apply_override(read(tmp_path, "suite: a\nlaunches: 3"), "launches=six")
    assert str(problem(document)) == "--set launches=six: launches must be a whole number, got 'six'"
    document = apply_override(read(tmp_path, "suite: a"), "hardware={thread: 1}")
    assert problem(document).where == "--set hardware={thread: 1}"


def test_long_values_are_cut(tmp_path: Path) -> None:
    assert len(str(problem(read(tmp_path, f"suite: a\nlaunches: {'x' * 9999}")))) < 300
    assert len(str(problem(read(tmp_path, f"suite: a\n{'x' * 999}: 1")))) < 400


def test_thousands_of_complaints_are_sorted_out_quickly(tmp_path: Path) -> None:
    document = read(tmp_path, f"suite: a\nseeds: [{'x, ' * 15_000}]")
    start = time.process_time()
    error = problem(document)
    assert error.what == "seeds.0 must be a whole number, got 'x'"
    assert str(error).startswith("15000 problems")
    assert str(error).endswith("and 14980 more")
    assert len(str(error).splitlines()) == 22
    assert time.process_time() - start < 10, "pairwise comparison would take minutes"


class Options(Closed):
    depth: int = 2
    blocks: list[Hardware] = Field(default_factory=list)


@pytest.mark.parametrize(
    ("text", "where", "what", "fix"),
    [
        ("variants: [{name: x, dept: 2}]", "1:22", "unknown key 'dept'", "Did you mean 'depth'"),
        ("variants: [{nam: x}]", "1:13", "unknown key 'nam'", "Did you mean 'name'"),
        (
            "variants: [{blocks: [{nam: x}]}]",
            "1:23",
            "unknown key 'nam'",
            "Known: device, precision, threads",
        ),
        ("variants: {name: x, depth: y}", "1:28", "depth must be a whole number, got 'y'", None),
        (
            "variants:\n- name: x\n  blocks:\n  - {threads: 0}",
            "4:15",
            "threads must be at least 1, got 0",
            None,
        ),
    ],
)
def test_options_of_a_component_are_placed_by_their_prefix(
    tmp_path: Path, text: str, where: str, what: str, fix: str | None
) -> None:
    document = read(tmp_path, text)
    given = document.value["variants"]
    options = {
        key: value for key, value in (given[0] if isinstance(given, list) else given).items() if key != "name"
    }
    with pytest.raises(ValidationError) as refused:
        Options.model_validate(options)
    with pytest.raises(SuiteError) as caught:
        raise_validation(
            document, refused.value, Options, prefix=("variants", 0), also_known=("name", "axes")
        )
    error = caught.value
    assert (str(error.where).removeprefix(f"{tmp_path}/a.yaml:"), error.what, error.fix) == (where, what, fix)


@pytest.mark.parametrize(
    ("path", "where"),
    [
        (("variants", 0, "name"), "1:19"),
        (("variants", 1, "name"), "1:29"),
        (("weights", "semsg"), "2:11"),
        (("head", "name"), "3:7"),
        (("baselines", 0), "1:1"),
    ],
)
def test_unknown_names_get_their_position(tmp_path: Path, path: tuple[str | int, ...], where: str) -> None:
    document = read(tmp_path, "variants: [{name: adamtll}, adamtlll]\nweights: {semsg: 1.0}\nhead: mult")
    error = unknown_name(
        document, path, UnknownNameError("unknown variant 'adamtll'", fix="Did you mean 'adamtl'")
    )
    assert isinstance(error, SuiteError)
    assert str(error).removeprefix(f"{tmp_path}/a.yaml:") == (
        f"{where}: unknown variant 'adamtll'. Did you mean 'adamtl'."
    )


scalars = (
    st.none()
    | st.booleans()
    | st.integers(-9, 99)
    | st.sampled_from(["a", "random", "sgd", "cpu", "fp32", 0.5])
)
keys = st.sampled_from(
    [*Suite.model_fields, *Hardware.model_fields, "kind", "name", "axes", "lr", "int", "Sgd", "list[str]"]
)
trees = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=15,
)


@given(st.dictionaries(keys, trees, max_size=5))
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_wrong_suite_gives_one_located_sentence(tmp_path: Path, value: dict[str, Any]) -> None:
    document = read(tmp_path, repr(value).replace("None", "null"))
    assert document.value == value
    try:
        Suite.model_validate(value)
    except ValidationError:
        error = problem(document)
        line, column = map(int, str(error.where).rsplit(":", 2)[1:])
        assert line == 1
        assert column <= len(repr(value))
        assert "{" not in error.what
        assert error.what.isprintable()


def test_the_message_of_an_unforeseen_kind_is_pydantics_own(tmp_path: Path) -> None:
    class Odd(BaseModel):
        when: Annotated[float, Field(allow_inf_nan=False)] | None = None
        url: Annotated[bytes, Field(max_length=1)] = b""

    document = read(tmp_path, "url: abc")
    with pytest.raises(ValidationError) as refused:
        Odd.model_validate(document.value)
    with pytest.raises(SuiteError, match=r"a\.yaml:1:6: url: Data should have at most 1 byte"):
        raise_validation(document, refused.value, Odd)
    with pytest.raises(ValidationError) as refused:
        Odd.model_validate({"when": math.inf})
    with pytest.raises(SuiteError, match="when must be a finite number, got inf"):
        raise_validation(read(tmp_path, "when: 1"), refused.value, Odd)
