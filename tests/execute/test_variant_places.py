"""A file that a variant's options name reaches every process that makes the variant, and no identity."""

from __future__ import annotations

import json
from typing import Annotated, Any, ClassVar

import fake_workers
import pytest
from pydantic import Field
from tiny import SUITE, write_suite

from mtlbench import api, variants
from mtlbench.component import Options
from mtlbench.execute.jobs.cell import OpenCell
from mtlbench.execute.ledger import LaunchLedger
from mtlbench.results.folder import RunFolder
from mtlbench.training.artifact import Artifact
from mtlbench.variants.base import Provenance
from mtlbench.variants.static_mtl import StaticMTL

SHA = "a" * 64


class PlacedOptions(Options):
    """A file, what is in it, and a setting."""

    checkpoint: Annotated[str | None, Field(exclude=True)] = None
    checkpoint_sha256: str | None = None


class Placed(StaticMTL):
    """Remembers how it was made; its own stage starts from the static network."""

    name = "placed"
    Options = PlacedOptions
    reference = "static_mtl"
    provenance = Provenance("ours")
    made: ClassVar[list[tuple[str | None, str | None]]] = []

    def __init__(self, problem: Any, **options: Any) -> None:
        super().__init__(problem, **options)
        self.made.append((self.options.checkpoint, self.options.checkpoint_sha256))

    @classmethod
    def resolve(cls, options: dict[str, Any]) -> dict[str, Any]:
        return super().resolve(options) | {"checkpoint_sha256": SHA}

    def artifacts(self, point, source):
        (dense,) = StaticMTL(self.problem).artifacts(point, source)
        own = {"checkpoint_sha256": self.options.checkpoint_sha256}
        return (Artifact("placed", "own", self.problem, source, own, {"dense": dense}),)


@pytest.fixture
def suite(tmp_path, monkeypatch):
    """A function that writes the suite with the file at some place."""
    monkeypatch.setitem(variants.registry._targets, "placed", Placed)
    monkeypatch.setenv("MTLBENCH_CACHE", str(tmp_path / "cache"))
    Placed.made.clear()
    text = SUITE.replace("[static_mtl]", "{name: placed, checkpoint: PLACE}") + "baselines: []\n"
    return lambda place: write_suite(tmp_path, text.replace("PLACE", place))


def own_cell(prepared):
    return next(cell for cell in prepared.plan.cells if cell.variant.name == "placed")


def test_it_reaches_planning_and_shapes_nothing(suite):
    here = api.prepare(suite("/here/x.pth"))
    assert set(Placed.made) == {("/here/x.pth", SHA)}
    Placed.made.clear()
    there = api.prepare(suite("/there/y.pth"))
    assert set(Placed.made) == {("/there/y.pth", SHA)}
    assert [cell.id for cell in here.plan.cells] == [cell.id for cell in there.plan.cells]
    assert here.artifacts == there.artifacts
    assert "/here" not in json.dumps([cell.specification for cell in here.plan.cells])
    assert "/here" not in here.plan.suite.resolved()


def test_it_reaches_the_worker_of_a_launch(suite, tmp_path):
    prepared = api.prepare(suite("/here/x.pth"))
    ledger = LaunchLedger(RunFolder(tmp_path / "run"), "run", prepared, [])
    job = json.loads(json.dumps(ledger.job(own_cell(prepared), "evaluate", 0, 0, None)))
    Placed.made.clear()
    OpenCell(job).runnable()
    assert Placed.made == [("/here/x.pth", SHA)]


def test_it_reaches_the_training_of_its_own_stage_and_of_no_other_variant(suite, tmp_path, monkeypatch):
    jobs = fake_workers.install(monkeypatch)
    api.run(suite("/here/x.pth"), out=tmp_path / "run")
    places = {j["artifact"]["variant"]: j["places"]["variant"] for j in jobs if j["kind"] == "train"}
    assert places == {"static_mtl": {}, "placed": {"checkpoint": "/here/x.pth"}}
    assert set(Placed.made) == {("/here/x.pth", SHA)}, "in planning, in the estimate and in training"
    launched = [j["places"]["variant"] for j in jobs if j["kind"] == "evaluate"]
    assert {"checkpoint": "/here/x.pth"} in launched
    records = (tmp_path / "cache" / "artifacts").glob("*/artifact.json")
    assert not any("/here" in record.read_text() for record in records)
