"""A variant from another package, found by entry point, runs in a suite like a built-in one."""

from __future__ import annotations

import textwrap

from tiny import SUITE, command, write_suite

from mtlbench import load_results

MODULE = '''
from typing import ClassVar

from mtlbench.component import Options
from mtlbench.variants import Axis, Provenance
from mtlbench.variants.static_mtl import StaticMTL


class FewerHeadsOptions(Options):
    """Options of the third party's variant."""

    flavour: str = "plain"


class ThirdParty(StaticMTL):
    """A static network under another name, with an axis."""

    name = "third_party"
    family = "third_party"
    reference = "static_mtl"
    Options = FewerHeadsOptions
    axes: ClassVar = (Axis("keep", (1.0, 0.5), "call", "exact", is_budget=True),)
    provenance = Provenance("ours")

    def artifacts(self, point, source):
        return StaticMTL(self.problem).artifacts(point, source)
'''


METER = """
from mtlbench.measure.energy import EnergyReading, Meter


class TenWatts(Meter):
    \"\"\"Ten watts, always.\"\"\"

    name = "ten_watts"

    def unavailable(self):
        return None

    def start(self):
        import time

        self._begin = time.perf_counter()

    def stop(self):
        import time

        seconds = time.perf_counter() - self._begin
        return EnergyReading(10.0 * seconds, "ten_watts: made up", "replayed", window_s=seconds)
"""


def _install(folder):
    package = folder / "site"
    metadata = package / "third_party_variant-1.0.dist-info"
    metadata.mkdir(parents=True)
    (package / "third_party_variant.py").write_text(textwrap.dedent(MODULE))
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: third-party-variant\nVersion: 1.0\n")
    (package / "third_party_meter.py").write_text(METER)
    (metadata / "entry_points.txt").write_text(
        "[mtlbench.variants]\nthird_party = third_party_variant:ThirdParty\n"
        "[mtlbench.meters]\nten_watts = third_party_meter:TenWatts\n"
    )
    return package


def test_a_variant_from_another_package_runs_in_a_suite(tmp_path):
    text = SUITE.replace("variants: [static_mtl]", "variants: [{name: third_party, flavour: plain}]")
    text = text.replace("training: {epochs: 1, batch: 8}", "training: random")
    suite = write_suite(tmp_path, text)
    site = {"PYTHONPATH": str(_install(tmp_path))}
    listing, _ = command("ls", "variants", **site).communicate(timeout=60)
    assert "third_party" in listing
    settings = ["measure.launches=1", "measure.energy=ten_watts", "measure.energy_min_seconds=0.2"]
    chosen = [part for setting in settings for part in ("--set", setting)]
    process = command("run", suite, "--out", tmp_path / "run", *chosen, **site)
    _, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors
    table = load_results(tmp_path / "run")
    third = table[table["variant"] == "third_party"]
    assert list(third["axis.keep"]) == [1.0, 0.5]
    assert list(third["budget"]) == [1.0, 0.5]
    static = table.set_index("variant").loc["static_mtl"]
    assert static["role"] == "reference"
    assert set(third["reference_cell_id"]) == {static["cell_id"]}
    assert set(third["realisation_reason"]) == {"The nominal saving is under 5 %."}
    # At ten watts a call of t ms takes 10 t mJ. The two windows are apart, so noise may move either; a wrong unit
    # or a wrong number of calls would be off by far more.
    assert (table["energy_mj"] / table["latency_ms"]).between(3, 100).all()
    assert set(table["energy_quality"]) == {"replayed"}
    assert set(table["energy_source"]) == {"ten_watts: made up"}
    assert table["energy_reason"].isna().all()


def test_a_registration_that_cannot_be_imported_says_so(tmp_path):
    package = _install(tmp_path)
    (package / "third_party_variant.py").write_text("import a_module_that_does_not_exist\n")
    suite = write_suite(tmp_path, SUITE.replace("[static_mtl]", "[third_party]"))
    process = command("validate", suite, PYTHONPATH=str(package))
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "a_module_that_does_not_exist" in errors
    assert "tiny.yaml:7" in errors
