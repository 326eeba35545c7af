from gist_ray.report.flow import BOX_WIDTH, WIDTH, flow


def step(group, name=None, inputs=(), cached=False, failed=None, seconds=1.0):
    return {
        "name": name or group,
        "kind": f"kind of {group}",
        "group": group,
        "fingerprint": "f",
        "rows_in": 10,
        "rows_ok": 10 - sum((failed or {}).values()),
        "failed": failed or {},
        "seconds": seconds,
        "cached": cached,
        "inputs": list(inputs),
    }


def test_branches_stand_side_by_side_until_they_join():
    drawn = flow(
        [
            step("ingest"),
            step("generate"),
            step("embed_images", inputs=["ingest"]),
            step("embed_texts", inputs=["generate"]),
            step("match", inputs=["embed_images", "embed_texts"]),
        ]
    )
    place = {box.name: (box.x, box.y) for box in drawn.boxes}
    assert place["ingest"][1] == place["generate"][1] < place["embed_images"][1]
    assert place["embed_images"][0] == place["ingest"][0] != place["embed_texts"][0]
    assert place["embed_texts"][0] == place["generate"][0]
    assert place["match"][1] > place["embed_texts"][1]
    assert len(drawn.edges) == 4


def test_alike_steps_share_a_box_unless_one_comes_from_the_other():
    drawn = flow(
        [
            step("embedded", "embed frozen", failed={"corrupt": 2, "missing": 1}),
            step("evaluated", "evaluate frozen", inputs=["embed frozen"]),
            step("tuned", "finetune a seed 1", ["embed frozen"], cached=True, seconds=2.0),
            step("tuned", "finetune b seed 1", ["embed frozen"], seconds=3.0),
            step("embedded", "embed a", inputs=["finetune a seed 1"]),
            step("evaluated", "evaluate a", inputs=["embed a"]),
        ]
    )
    boxes = {box.name: box for box in drawn.boxes}
    assert {name: box.num_steps for name, box in boxes.items()} == {
        "embed frozen": 1,
        "evaluate": 2,
        "finetune": 2,
        "embed a": 1,
    }
    first, finetune = boxes["embed frozen"], boxes["finetune"]
    assert (first.rows_in, first.rows_ok, first.num_failed) == (10, 7, 3)
    assert (finetune.num_stored, finetune.seconds) == (1, 5.0)
    assert first.y < finetune.y < boxes["embed a"].y < boxes["evaluate"].y


def test_a_branch_that_skips_a_stage_joins_the_boxes_of_those_that_do_not():
    drawn = flow(
        [
            step("texts", "embed texts frozen"),
            step("tuned", "finetune name"),
            step("texts", "embed texts name", inputs=["finetune name"]),
            step("matched", "match", inputs=["embed texts frozen"]),
            step("tuned", "finetune gist", inputs=["match"]),
            step("texts", "embed texts gist", inputs=["finetune gist"]),
        ]
    )
    names = [(box.name, box.num_steps) for box in sorted(drawn.boxes, key=lambda box: box.y)]
    assert names == [
        ("embed texts frozen", 1),
        ("match", 1),
        ("finetune", 2),
        ("embed texts", 2),
    ]
    assert len(drawn.edges) == 3


def test_a_line_that_others_imply_is_left_out():
    drawn = flow([step("a"), step("b", inputs=["a"]), step("c", inputs=["a", "b"])])
    assert len(drawn.edges) == 2


def test_a_long_edge_passes_beside_the_boxes_between():
    drawn = flow(
        [
            step("a"),
            step("b", inputs=["a"]),
            step("x", inputs=["a"]),
            step("y", inputs=["a"]),
            step("c", inputs=["b"]),
            step("z", inputs=["x"]),
            step("d", inputs=["c", "y"]),
        ]
    )
    [long_edge] = [edge for edge in drawn.edges if " L" in edge]
    way_x = float(long_edge.split(" L")[1].split(",")[0])
    between = [box for box in drawn.boxes if box.name in "cz"]
    assert all(not box.x <= way_x <= box.x + BOX_WIDTH for box in between)


def test_many_stages_at_one_depth_take_several_rows_within_the_width():
    drawn = flow([step("a"), *(step(f"b{i}", inputs=["a"]) for i in range(7))])
    assert len({box.y for box in drawn.boxes}) == 4
    assert all(0 <= box.x <= WIDTH - BOX_WIDTH for box in drawn.boxes)
    assert len({(box.x, box.y) for box in drawn.boxes}) == 8


def test_without_inputs_the_stages_form_a_chain():
    steps = [step("ingest"), step("tuned", "tune a"), step("tuned", "tune b"), step("report")]
    for row in steps:
        del row["inputs"]
    drawn = flow(steps)
    assert [box.name for box in drawn.boxes] == ["ingest", "tune", "report"]
    assert len({box.x for box in drawn.boxes}) == 1
    assert len(drawn.edges) == 2


def test_no_steps_and_unknown_inputs_are_no_error():
    assert flow([]).boxes == []
    assert len(flow([step("a", inputs=["gone"])]).boxes) == 1
