import pytest
from hypothesis import given
from hypothesis import strategies as st

from avsf_det.config import CONFIG_FOLDER, describe_keys, find_config, get_cfg, load_cfg, merge_yaml, override
from avsf_det.errors import UserError


def test_overrides_go_over_the_file_which_goes_over_the_defaults(tmp_path):
    file = tmp_path / "recipe.yaml"
    file.write_text("SOLVER:\n  MAX_EPOCH: 7\n  BASE_LR: 0.5\n")
    cfg = load_cfg(file, ["SOLVER.BASE_LR", "2", "DATA.MEAN", "[0, 1, 0.5]", "DATA.RANDOM_FLIP", "false"])
    assert (cfg.SOLVER.MAX_EPOCH, cfg.SOLVER.BASE_LR) == (7, 2.0)
    assert cfg.DATA.MEAN == [0.0, 1.0, 0.5] and cfg.DATA.RANDOM_FLIP is False
    assert cfg.SOLVER.MOMENTUM == get_cfg().SOLVER.MOMENTUM


def test_a_base_is_read_first_from_beside_the_file(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "base.yaml").write_text("RNG_SEED: 1\nSOLVER: {MAX_EPOCH: 3}\n")
    (tmp_path / "sub" / "derived.yaml").write_text("RNG_SEED: 2\n_BASE_: ../base.yaml  # as in fvcore\n")
    cfg = load_cfg(tmp_path / "sub" / "derived.yaml")
    assert (cfg.RNG_SEED, cfg.SOLVER.MAX_EPOCH) == (2, 3)


def test_of_several_bases_the_later_goes_over_the_earlier(tmp_path):
    (tmp_path / "model.yaml").write_text("RNG_SEED: 1\nSOLVER: {MAX_EPOCH: 3, MOMENTUM: 0.5}\n")
    (tmp_path / "schedule.yaml").write_text("SOLVER: {MAX_EPOCH: 7}\n")
    (tmp_path / "derived.yaml").write_text("_BASE_: [model.yaml, schedule.yaml]\n")
    cfg = load_cfg(tmp_path / "derived.yaml")
    assert (cfg.RNG_SEED, cfg.SOLVER.MAX_EPOCH, cfg.SOLVER.MOMENTUM) == (1, 7, 0.5)


@pytest.mark.parametrize("recipe", sorted(p.stem for p in (CONFIG_FOLDER / "scenes").glob("*.yaml")))
def test_recipes_load_and_their_models_build(recipe):
    from avsf_det.models.build import build_model

    assert sum(p.numel() for p in build_model(load_cfg(f"scenes/{recipe}")).parameters())


def test_what_is_dumped_reads_back_as_it_was():
    cfg, again = load_cfg(None, ["RNG_SEED", "3", "OUTPUT_DIR", "2024.10"]), get_cfg()
    merge_yaml(again, cfg.dump(), "dump")
    assert again == cfg != get_cfg()


@pytest.mark.parametrize("text", ["2024.10", "007", "1e3", "True", "[a]", "my folder", "C:x"])
def test_texts_are_taken_as_they_are_written(text):
    assert text == load_cfg(None, ["OUTPUT_DIR", text]).OUTPUT_DIR


def test_yaml_may_write_floats_without_a_point(tmp_path):
    file = tmp_path / "recipe.yaml"
    file.write_text("SOLVER: {WEIGHT_DECAY: 1e-4, BASE_LR: 1}\n")
    assert load_cfg(file).SOLVER.WEIGHT_DECAY == 1e-4
    assert load_cfg(file).SOLVER.BASE_LR == 1.0


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["SOLVER.BASE_LRR", "1"], "command line: unknown config key SOLVER.BASE_LRR; did you mean SOLVER.BASE_LR?"),
        (["solver.base_lr", "1"], "did you mean SOLVER.BASE_LR?"),
        (["XYZZY", "1"], "`avsf-det config` lists all keys"),
        (["SOLVER", "1"], "unknown config key SOLVER"),
        (["SOLVER.BASE_LR", "fast"], "SOLVER.BASE_LR expects float like 0.1, got str 'fast'"),
        (["TRAIN.BATCH_SIZE", "2.5"], "TRAIN.BATCH_SIZE expects int like 64, got float 2.5"),
        (["TRAIN.BATCH_SIZE", "True"], "TRAIN.BATCH_SIZE expects int like 64, got bool True"),
        (["DATA.RANDOM_FLIP", "1"], "DATA.RANDOM_FLIP expects bool"),
        (["DATA.MEAN", "0.5"], "DATA.MEAN expects list"),
        (["DATA.MEAN", "[0.5, 'a', 1]"], r"DATA.MEAN\[1\] expects float"),
        (["RNG_SEED"], "'RNG_SEED' has no value"),
    ],
)
def test_a_wrong_override_is_named(overrides, message):
    with pytest.raises(UserError, match=message) as error:
        load_cfg(None, overrides)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            b"SOLVER: {MAX_EPOCHS: 3}",
            "recipe.yaml: unknown config key SOLVER.MAX_EPOCHS; did you mean",
        ),
        (b"SOLVER: {MAX_EPOCH: many}", "recipe.yaml: SOLVER.MAX_EPOCH expects int"),
        (b"OUTPUT_DIR: 3", "OUTPUT_DIR expects str"),
        (b"A: [", "recipe.yaml: not yaml"),
        (b"- 1\n- 2\n", "expected KEY: value pairs, got list"),
        (b"\xff\xfe\x00", "recipe.yaml: cannot be read as yaml"),
        (b"!!python/object/apply:os.system ['touch ran']", "not yaml"),
        (b"_BASE_: recipe.yaml", "_BASE_ leads back to itself"),
        (b"_BASE_: missing.yaml", "no config file '.*missing.yaml'"),
    ],
)
def test_a_wrong_file_is_named(tmp_path, monkeypatch, text, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recipe.yaml").write_bytes(text)
    with pytest.raises(UserError, match=message) as error:
        load_cfg("recipe.yaml")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "ran").exists()


def test_a_recipe_that_is_not_there_gets_the_nearest_names():
    with pytest.raises(UserError, match=r"did you mean one of .*scenes/avslowfast_small.yaml"):
        find_config("scenes/avslowfast_smal")


@given(st.text(max_size=20), st.text(max_size=20))
def test_no_override_ends_in_anything_but_a_user_error(key, value):
    for name in (key, "TRAIN.BATCH_SIZE", "DATA.MEAN", "SOLVER.BASE_LR"):
        cfg = get_cfg()
        try:
            override(cfg, [name, value])
        except UserError:
            assert cfg == get_cfg()


def test_keys_are_described_with_default_and_meaning():
    lines = describe_keys().splitlines()
    assert any(line.startswith("SOLVER.BASE_LR = 0.1  # every rate here is for") for line in lines)
    assert any(line.startswith("SLOWFAST.ALPHA = 8  # Fast frames per Slow frame") for line in lines)
    override(get_cfg(), [word for line in lines for word in line.split("  # ")[0].split(" = ")])
