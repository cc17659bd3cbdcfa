"""The section about single inputs: findings against what was planted, and pictures against their archives."""

from __future__ import annotations

import base64
import io
import json
import time
from math import isnan, sqrt

import numpy as np
import pandas as pd
import pytest
from fake_inputs import keep, made_inputs
from fake_run import HOSTILE, TASKS, fake_view, full_table, hostile
from PIL import Image
from scipy.stats import kendalltau, rankdata

from mtlbench.report.canvas import Absent, Drawing
from mtlbench.report.colours import styles
from mtlbench.report.frame import is_ok, variants
from mtlbench.report.groups import groups
from mtlbench.report.pictures import Sample, Tile, data_uri, sample_drawing
from mtlbench.report.sections._inputs_frame import correlation
from mtlbench.report.sections._kept_inputs import compared, extremes
from mtlbench.report.sections._kept_read import read_kept
from mtlbench.report.sections.inputs import section
from mtlbench.report.svg import inline_svg
from mtlbench.report.tables import Table


def finished(seeds=1):
    table = full_table(seeds=seeds)
    return table[is_ok(table)].reset_index(drop=True)


def shown(view):
    (group,) = groups(view)
    return section(view, group, styles(variants(view))), group


def of(blocks, kind):
    return [block for block in blocks if isinstance(block, kind)]


def column(table, title):
    place = [header.title for header in table.headers].index(title)
    return [row.entries[place].text for row in table.rows]


def test_a_run_that_kept_nothing_has_no_section(tmp_path):
    assert shown(fake_view(tmp_path, finished()))[0] is None
    assert shown(fake_view(tmp_path, finished(), inputs=made_inputs(finished()).head(0)))[0] is None
    strangers = made_inputs(finished()).assign(cell_id="of another run")
    assert shown(fake_view(tmp_path, finished(), inputs=strangers))[0] is None


def test_what_inputs_cost_is_said_with_their_quantiles_and_the_budget(tmp_path):
    table = finished().assign(budget=lambda t: t["axis.keep_ratio"])
    inputs = made_inputs(table)
    found, _ = shown(fake_view(tmp_path, table, inputs=inputs))
    lead = " ".join(found.lead)
    assert "Every input costs the same with single_task, static_mtl, adamtl at keep_ratio 1" in lead
    own = inputs[inputs["cell_id"] == "adamtl-0.5-0"]["macs_nominal"] / 1e9
    middle, high = np.sort(own)[[len(own) // 2 - 1, len(own) * 19 // 20 - 1]]
    assert f"half of the inputs cost at most {middle:.3g}" in lead
    assert f"at most one in twenty more than {high:.2f}" in lead
    assert (
        f"Asked for 50 % of its reference's MACs, it spent {100 * own.mean() / 1.62:.0f} % on average."
        in lead
    )
    costs = of(found.blocks, Table)[0]
    assert [row.variant for row in costs.rows] == ["adamtl", "computation_sharing"]
    np.testing.assert_allclose(float(column(costs, "median")[0]), middle, rtol=5e-3)
    np.testing.assert_allclose(float(column(costs, "least")[0]), own.min(), rtol=5e-3)
    assert column(costs, "asked") == ["50", "50"]


@pytest.mark.parametrize(
    ("slope", "said"), [(1.0, "cost more with"), (-1.0, "cost less with"), (0.0, "is not shown, by")]
)
def test_whether_harder_inputs_cost_more_is_what_was_planted(tmp_path, slope, said):
    table = finished()
    found, _ = shown(fake_view(tmp_path, table, inputs=made_inputs(table, slope=slope)))
    sentences = [words for words in found.lead if words.startswith(("Harder", "That harder", "Whether"))]
    assert len(sentences) == 2
    assert all(said in words and "n = 200" in words for words in sentences)
    ranks = of(found.blocks, Table)[1]
    for title in ("complexity", "semseg", "normals"):  # higher is better for one, lower for the other
        for words in column(ranks, title):
            value = float(words.split(" [")[0])
            assert value * slope > 0.5 or (slope == 0 and abs(value) < 0.25)


def test_few_inputs_say_nothing_about_difficulty(tmp_path):
    table = finished()
    found, _ = shown(fake_view(tmp_path, table, inputs=made_inputs(table, images=8, timed=8)))
    assert any("is not known from so few inputs" in words for words in found.lead)
    assert column(of(found.blocks, Table)[1], "complexity") == ["-", "-"]
    (absent,) = of(found.blocks, Absent)
    assert "fewer than 10 inputs" in absent.reason


def test_an_image_counts_once_however_many_seeds_saw_it(tmp_path):
    table = finished(seeds=3)
    found, _ = shown(fake_view(tmp_path, table, inputs=made_inputs(table)))
    assert all("n = 200" in words for words in found.lead if words.startswith("Harder"))
    assert column(of(found.blocks, Table)[0], "inputs") == ["600", "600"]


def test_rank_correlation_equals_its_definition_and_its_interval_covers():
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(300):
        x, noise = rng.normal(size=(2, 60))
        y = 0.6 * x + 0.8 * noise
        rank, n = correlation(pd.Series(x), pd.Series(y))
        ranks = np.corrcoef(rankdata(x), rankdata(y))[0, 1]
        assert rank.value == pytest.approx(ranks)
        assert np.sign(rank.value) == np.sign(kendalltau(x, y).statistic)
        assert n == 60
        truth = 6 / np.pi * np.arcsin(0.6 / 2)  # of a bivariate normal with correlation 0.6
        covered += rank.low <= truth <= rank.high
    assert covered / 300 == pytest.approx(0.95, abs=4 * sqrt(0.95 * 0.05 / 300))


def test_rank_correlation_of_what_has_none():
    line = pd.Series(np.arange(20.0))
    assert correlation(line, line)[0].value == 1
    assert isnan(correlation(line, pd.Series(np.ones(20)))[0].value)
    assert isnan(correlation(line.head(9), line.head(9))[0].value)
    holes = line.where(line > 8)
    assert correlation(line, holes)[1] == 11


def test_the_hardest_inputs_are_the_worst_of_the_dense_reference(tmp_path):
    table = finished()
    inputs = made_inputs(table)
    found, _ = shown(fake_view(tmp_path, table, inputs=inputs))
    hardest = of(found.blocks, Table)[2]
    assert "what static_mtl predicted" in hardest.caption or "what single_task predicted" in hardest.caption
    name = "static_mtl" if "static_mtl" in hardest.caption else "single_task"
    own = inputs[inputs["cell_id"] == f"{name}-None-0"].set_index("image")
    scores = pd.DataFrame({task: own[f"quality.{task}"] * (1 if task == "normals" else -1) for task in TASKS})
    worst = scores.rank().mean(axis=1).sort_values(ascending=False).index[:8]
    assert column(hardest, "input") == list(worst)
    assert [float(v) for v in column(hardest, "complexity")] == pytest.approx(
        own.loc[worst, "attribute.complexity"].to_list(), abs=5e-4
    )


@pytest.mark.parametrize(
    ("costs", "said"),
    [
        ([1, 2, 3, 4, 5], "half of the inputs cost at most 3.00 GMACs; they range from 1.00 to 5.00"),
        ([1] * 12 + [2] * 12, "half of the inputs or more cost the least, 1.00 GMACs; the dearest cost 2.00"),
        (
            [1] * 3 + [2] * 17,
            "more than half of the inputs cost the most, 2.00 GMACs; the cheapest cost 1.00",
        ),
        (
            [1] * 3 + [2] * 96 + [3],
            "all but at most one in twenty inputs cost at most 2.00 GMACs; they range from 1.00 to 3.00",
        ),
        (range(1, 41), "half of the inputs cost at most 20.0 GMACs, at most one in twenty more than 38.0"),
        ([1, 1.00001], "inputs cost 1.00 GMACs, alike in the digits shown"),
    ],
)
def test_costs_are_told_apart_no_further_than_inputs_allow(tmp_path, costs, said):
    table = finished()
    inputs = made_inputs(table, images=len(costs))
    own = inputs["cell_id"] == "adamtl-0.5-0"
    inputs.loc[own, "macs_nominal"] = np.array(costs) * 1e9
    found, _ = shown(fake_view(tmp_path, table, inputs=inputs[own]))
    assert said in found.lead[0]
    rows = of(found.blocks, Table)[0]
    assert (column(rows, "p95") == ["-"]) == (len(costs) < 20)


def test_static_ways_alone_still_show_latency_and_hard_inputs(tmp_path):
    table = finished()
    table = table[table["variant"].isin(["single_task", "static_mtl"])]
    found, _ = shown(fake_view(tmp_path, table, inputs=made_inputs(table)))
    assert found.lead == ("Every input costs the same with single_task and static_mtl.",)
    assert [type(block) for block in found.blocks] == [Drawing, Table]
    assert "latency" in found.blocks[0].slug


def test_latency_of_single_inputs_needs_inputs_that_were_timed_alone(tmp_path):
    table = finished()
    found, _ = shown(fake_view(tmp_path, table, inputs=made_inputs(table).assign(floor_ms=np.nan)))
    (absent,) = of(found.blocks, Absent)
    assert "no input was timed alone" in absent.reason


def test_drawings_are_small_and_say_what_they_show(tmp_path):
    table = finished(seeds=2)
    found, _ = shown(fake_view(tmp_path, table, inputs=made_inputs(table, images=1000)))
    drawings = of(found.blocks, Drawing)
    assert len(drawings) == 3
    assert len({drawing.slug for drawing in drawings}) == 3
    for drawing in drawings:
        assert "adamtl" in drawing.alt
        assert len(inline_svg(drawing)) < 50_000


def test_unlabelled_inputs_and_missing_references_leave_no_false_measure(tmp_path):
    table = finished()
    inputs = made_inputs(table).drop(columns="attribute.complexity")
    for task in TASKS:
        inputs[f"quality.{task}"] = np.nan
    found, _ = shown(fake_view(tmp_path, table, inputs=inputs))
    reasons = [absent.reason for absent in of(found.blocks, Absent)]
    assert "Neither the dataset nor a dense reference says which inputs are hard." in reasons
    assert len(of(found.blocks, Table)) == 1


def test_each_spread_input_is_shown_under_every_way(tmp_path):
    table = finished()
    keep(tmp_path, table)
    view = fake_view(tmp_path, table)
    (group,) = groups(view)
    kept, notes = read_kept(view, group)
    assert notes == []
    grids = compared(kept)
    assert [grid.name for grid in grids] == ["Input image/0", "Input image/1", "Input image/2"]
    ways = list(dict.fromkeys(group.cells["label"]))
    for grid in grids:
        assert [head.title for head in grid.columns] == ["input, labels", *ways]
        assert all(len(row.tiles) == len(grid.columns) for row in grid.rows)
        titles = [row.title for row in grid.rows]
        assert titles == ["input", *(title for task in TASKS for title in (task, f"{task}, errors"))]
        assert all(tile.alt for tile in grid.tiles)
        assert len({tile.alt for tile in grid.tiles}) == len(grid.tiles)
    keys = {legend.title: dict(legend.keys) for legend in grids[0].legends}
    assert keys["semseg"] == {
        "ground": "#000000",
        "thing": "#e69f00",
    }  # the third class is nowhere to be seen
    assert set(keys["errors"]) == {"right", "no label", *(f"{task}: wrong class" for task in TASKS)}


def test_errors_and_kept_tokens_are_drawn_as_they_were_kept(tmp_path):
    table = finished()
    keep(tmp_path, table)
    view = fake_view(tmp_path, table)
    kept, _ = read_kept(view, *groups(view))
    (grid, *_) = extremes(kept)
    assert grid.name == "Cheapest, median and dearest input of adamtl at keep_ratio 0.5"
    assert [head.title for head in grid.columns] == ["cheapest", "median", "dearest"]
    assert [dict(head.facts)["input"] for head in grid.columns] == ["image/3", "image/4", "image/5"]
    rows = {row.title: row.tiles for row in grid.rows}
    with np.load(tmp_path / "samples" / "adamtl-0.5-0.pictures.npz") as archive:
        grades, image, share = (archive[f"{name}.3"] for name in ("errors.edge", "image", "kept.all"))
    errors = rows["edge, errors"][0].picture
    assert (errors[grades == 255] == 128).all()
    assert (errors[grades == 254].mean(axis=-1) > 200).all()
    assert (errors[grades == 0].mean(axis=-1) < 5).all()
    drawn = rows["kept tokens"][0].picture
    np.testing.assert_array_equal(drawn[-1, -1], image[-1, -1])  # kept through all layers
    np.testing.assert_allclose(drawn[0, 0], image[0, 0] * (0.2 + 0.8 * share[0, 0] / 255), atol=1)


def rename_roles(path, roles, macs):
    """Give the kept inputs of an archive other roles and costs."""
    with np.load(path) as archive:
        arrays = dict(archive)
    facts = json.loads(str(arrays["facts"]))
    for one, why, cost in zip(facts["inputs"], roles, macs, strict=True):
        one.update(roles=why, macs_nominal=cost)
    np.savez(path, **arrays | {"facts": np.array(json.dumps(facts))})


def test_inputs_that_tie_are_shown_once_and_counted(tmp_path):
    table = finished()
    keep(tmp_path, table, tasks=("semseg",))
    path = tmp_path / "samples" / "adamtl-0.5-0.pictures.npz"
    roles = [["spread"], ["spread"], ["spread"], ["cheapest", "median"], ["dearest"], []]
    rename_roles(path, roles, [1e9, 2e9, 2e9, 1e9, 2e9, 2e9])
    inputs = made_inputs(table, images=24)
    inputs.loc[inputs["cell_id"] == "adamtl-0.5-0", "macs_nominal"] = [1e9] * 14 + [2e9] * 10
    view = fake_view(tmp_path, table[table["variant"] != "computation_sharing"], inputs=inputs)
    found, _ = shown(view)
    grid = of(found.blocks, Sample)[0]
    assert grid.name == "Cheapest and dearest input of adamtl at keep_ratio 0.5"
    assert [head.title for head in grid.columns] == ["cheapest and median", "dearest"]
    assert [dict(head.facts)["inputs that cost this"] for head in grid.columns] == ["14 of 24", "10 of 24"]
    rename_roles(path, roles, [1e9] * 6)
    assert extremes(read_kept(view, *groups(view))[0]) == []


def test_where_all_cost_the_same_inputs_are_shown_by_how_well_they_are_solved(tmp_path):
    table = finished()
    table = table[table["variant"].isin(["single_task", "static_mtl"])]
    keep(tmp_path, table, tasks=("semseg",))
    inputs = made_inputs(table, images=40)
    own = inputs[inputs["cell_id"] == "single_task-None-0"].set_index("image")
    ranks = sum(
        rankdata(own[f"quality.{task}"] * (-1 if task == "normals" else 1)) for task in TASKS
    )  # of the first dense way
    order = own.index[np.argsort(-ranks, kind="stable")]
    found, _ = shown(fake_view(tmp_path, table, inputs=inputs))
    grids = of(found.blocks, Sample)
    best_first = [image for image in order if image in {"image/0", "image/1", "image/2"}]
    words = ["best solved", "median", "worst solved"]
    assert [grid.name for grid in grids] == [
        f"Input {image}, {word} of those with pictures" for image, word in zip(best_first, words, strict=True)
    ]
    worse = 40 - 1 - list(order).index(best_first[0])
    assert dict(grids[0].facts)["solved better than"] == f"{worse} of 40 inputs by single_task"
    assert sum("the same with" in sentence for sentence in found.lead) == 1


def test_many_ways_are_thinned_to_the_ends_and_the_rest_is_named(tmp_path):
    table = finished()
    row = table[table["cell_id"] == "adamtl-0.5-0"].iloc[0]
    points = [row.to_dict() | {"cell_id": f"adamtl-{k}", "axis.keep_ratio": k / 10} for k in range(1, 10)]
    many = pd.concat([table, pd.DataFrame(points)], ignore_index=True)
    keep(tmp_path, many, tasks=("semseg",))
    view = fake_view(tmp_path, many)
    (group,) = groups(view)
    kept, (note,) = read_kept(view, group, ["adamtl at keep_ratio 0.3"])
    ways = [one.way for one in kept]
    assert len(ways) == 6
    assert {"single_task", "static_mtl", "adamtl at keep_ratio 1", "adamtl at keep_ratio 0.3"} <= set(ways)
    assert note.startswith("What adamtl at keep_ratio")


def test_archives_that_cannot_be_read_are_said_and_left_out(tmp_path):
    table = finished()
    keep(tmp_path, table)
    samples = tmp_path / "samples"
    (samples / "static_mtl-None-0.pictures.npz").write_bytes(b"not an archive")
    np.savez(samples / "adamtl-1.0-0.pictures.npz", **{"id.0": np.array("x")})
    view = fake_view(tmp_path, table)
    kept, notes = read_kept(view, *groups(view))
    assert [one.way for one in kept if one.variant in ("static_mtl", "adamtl")] == [
        "adamtl at keep_ratio 0.5"
    ]
    assert len(notes) == 2
    assert "run the suite again" in " ".join(notes)


def test_an_archive_that_lies_outside_the_samples_is_not_opened(tmp_path):
    table = finished()
    keep(tmp_path / "elsewhere", table)
    table = table.assign(cell_id="../elsewhere/samples/" + table["cell_id"])
    view = fake_view(tmp_path, table)
    assert read_kept(view, *groups(view)) == ([], [])


def test_pictures_are_shown_within_a_budget_and_for_the_first_groups(tmp_path):
    table = finished()
    many = pd.concat([table.assign(hardware=f"h{k}") for k in range(5)], ignore_index=True)
    many["cell_id"] = many["hardware"] + many["cell_id"]
    keep(tmp_path, many, tasks=("semseg", "edge"), size=(200, 256), noise=True)
    view = fake_view(tmp_path, many)
    look = styles(variants(view))
    found = [section(view, group, look) for group in groups(view)]
    sizes = [sum(grid.size for grid in of(one.blocks, Sample)) for one in found]
    assert all(0 < size <= 700_000 for size in sizes[:3])
    assert all("More inputs are in the run folder." in one.lead for one in found[:3])
    assert sizes[3:] == [0, 0]
    assert "first 3 groups only" in " ".join(found[3].lead)


def test_tiles_become_addresses_that_keep_exact_colours():
    rng = np.random.default_rng(1)
    picture = rng.choice([0, 255], (40, 130, 3)).astype(np.uint8)
    uri = Tile(picture, "noise", exact=True).uri
    head, _, data = uri.partition(",")
    assert head == "data:image/webp;base64"
    np.testing.assert_array_equal(
        np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")), picture
    )
    small = Image.open(io.BytesIO(base64.b64decode(data_uri(picture[:4, :5]).partition(",")[2])))
    assert small.size == (100, 80)
    large = Image.open(io.BytesIO(base64.b64decode(data_uri(np.tile(picture, (5, 5, 1))).partition(",")[2])))
    assert large.size[0] == 192


def test_a_grid_is_drawn_with_its_names_and_legends(tmp_path):
    table = finished()
    keep(tmp_path, table)
    view = fake_view(tmp_path, table)
    (group,) = groups(view)
    kept, _ = read_kept(view, group)
    drawn = sample_drawing(group, compared(kept)[1], 2)
    words = {text.get_text() for axes in drawn.figure.axes for text in axes.texts}
    macs = table.set_index("cell_id")["macs_nominal"]["static_mtl-None-0"] * (1 + 1 / 9)
    assert {
        "Input image/1",
        "semseg",
        "errors",
        "input",
        "miou 0.500",
        "static_mtl",
        "ground",
        "right",
    } <= words
    assert f"MACs {macs / 1e9:.2f} G" in words
    (axes,) = drawn.figure.axes
    (image,) = axes.images
    pixels = np.asarray(image.get_array())
    seen = {tuple(colour) for colour in np.unique(pixels.reshape(-1, 4), axis=0)}
    assert {(0, 0, 0, 0), (230, 159, 0, 255), (128, 128, 128, 255)} <= seen
    assert (pixels[..., 3] > 0).mean() > 0.3


def test_hostile_names_stay_text(tmp_path):
    table = hostile(finished())
    keep(tmp_path, table)
    found, group = shown(fake_view(tmp_path, table, inputs=made_inputs(table)))
    assert any(HOSTILE in words for words in found.lead)
    for drawing in of(found.blocks, Drawing):
        assert "<script" not in inline_svg(drawing)
    grids = of(found.blocks, Sample)
    assert "<script" not in inline_svg(sample_drawing(group, grids[0], 1))
    assert all("<" not in tile.uri for tile in grids[0].tiles)


def test_ten_thousand_cells_are_summed_up_in_time(tmp_path):
    row = finished().iloc[3].to_dict()
    cells = [row | {"cell_id": f"c{k}", "seed": k % 3, "axis.keep_ratio": k / 1e4} for k in range(10_000)]
    table = pd.DataFrame(cells)
    view = fake_view(tmp_path, table, inputs=made_inputs(table, images=20, timed=20))
    (group,) = groups(view)
    started = time.perf_counter()
    found = section(view, group, styles(variants(view)))
    assert time.perf_counter() - started < 15
    assert len(of(found.blocks, Table)[0].rows) == 40
    assert "more ways are not shown" in of(found.blocks, Table)[0].absent[0]


def test_facts_may_hold_anything_a_dataset_calls_its_inputs(tmp_path):
    table = finished()
    keep(tmp_path, table)
    for path in (tmp_path / "samples").iterdir():
        with np.load(path) as archive:
            arrays = dict(archive)
        facts = json.loads(str(arrays["facts"]))
        facts["inputs"][0]["id"] = HOSTILE
        facts["inputs"][1]["quality"] = dict.fromkeys(TASKS)
        np.savez(path, **arrays | {"facts": np.array(json.dumps(facts))})
    view = fake_view(tmp_path, table)
    kept, _ = read_kept(view, *groups(view))
    first, second, _ = compared(kept)
    assert first.name == f"Input {HOSTILE}"
    captions = {row.title: [tile.caption for tile in row.tiles if tile] for row in second.rows}
    assert set(captions["semseg"]) == {""}
