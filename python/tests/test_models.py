"""Networks: listed, opened, used."""

import json
import pickle
import shutil

import numpy
import pytest

import lmic

TEXT = b"".join(b"line %d says that %d is the question\n" % (n, n * n % 97) for n in range(60))


def test_models_are_those_that_the_command_lists(command, models, tmp_path, monkeypatch):
    monkeypatch.setenv("LMIC_MODELS", str(tmp_path))
    shutil.copy(models / "byte-200k.safetensors", tmp_path)
    lmic.prime(TEXT.splitlines(), table_bits=8).save(tmp_path / "lines.lmicp")
    (tmp_path / "other.txt").write_bytes(b"no model")
    theirs = json.loads(command("model", "list", "--json"))
    ours = [{key: value for key, value in model.items() if value is not None} for model in lmic.models()]
    for model in ours:
        if "file" in model:
            model["file"] = str(model["file"])
    assert ours == theirs
    assert [model["name"] for model in ours[:3]] == ["byte-200k", "lines", "other.txt"]
    assert lmic.load_model("byte-200k").identity == ours[0]["identity"]
    assert lmic.Primed.load("lines").identity == ours[1]["identity"]
    with pytest.raises(lmic.InvalidArgumentError, match="primed state"):
        lmic.load_model("lines")
    with pytest.raises(lmic.InvalidArgumentError, match="network"):
        lmic.Primed.load("byte-200k")


def test_a_model_shows_what_the_command_shows(command, models, checkpoints):
    for path in [models / "byte-200k.safetensors", checkpoints / "qwen3", checkpoints / "llama-q8_0.gguf"]:
        model = lmic.load_model(path)
        facts = json.loads(command("model", "show", "--json", "--tensors", path))
        assert model.path == path
        for key in ["name", "kind", "identity", "parameters", "precision", "tensor_bytes", "config"]:
            assert getattr(model, key) == facts[key], key
        tensors = [{**tensor, "shape": list(tensor["shape"])} for tensor in model.tensors]
        assert tensors == facts["tensors"]
        assert model.name in repr(model)


def test_archives_are_those_of_the_command_whichever_way_a_model_is_given(
    command, models, checkpoints, tmp_path
):
    file = tmp_path / "text"
    file.write_bytes(TEXT)
    for path in [models / "byte-200k.safetensors", checkpoints / "llama", checkpoints / "qwen2-q4_0.gguf"]:
        model = lmic.load_model(path)
        archive = lmic.compress(TEXT, model=model)
        assert archive == command("-c", "-m", path, file)
        assert archive == lmic.compress(TEXT, model=path)
        assert archive == lmic.compress(TEXT, model=pickle.loads(pickle.dumps(model)))
        for form in [model, path, str(path)]:
            assert lmic.decompress(archive, model=form) == TEXT
        with pytest.raises(lmic.WrongModelError):
            lmic.decompress(archive)


def test_windows_are_those_of_the_command(command, models, checkpoints, tmp_path):
    file = tmp_path / "text"
    file.write_bytes(TEXT)
    plain = lmic.compress(TEXT, model=models / "byte-200k.safetensors")
    for path, words, options in [
        (models / "byte-200k.safetensors", ["--context", "64"], {"context": 64}),
        (models / "byte-200k.safetensors", ["--alone", "--overlap", "9"], {"alone": True, "overlap": 9}),
        (models / "byte-200k.safetensors", ["--lanes", "2"], {"lanes": 2}),
        (checkpoints / "llama", ["--context", "64", "--overlap", "0"], {"context": 64, "overlap": 0}),
    ]:
        archive = lmic.compress(TEXT, model=path, **options)
        assert archive == command("-c", "-m", path, *words, file)
        assert archive != plain
        assert lmic.decompress(archive, model=path) == TEXT
    with pytest.raises(lmic.InvalidArgumentError, match="context"):
        lmic.compress(TEXT, model=checkpoints / "llama", context=10**6)
    with pytest.raises(TypeError, match="context"):
        lmic.compress(TEXT, context=64)


def write_transformer(folder):
    """A transformer of bytes of random weights, as Hugging Face would write it."""
    width, inner, layers = 8, 12, 2
    config = {
        "model_type": "llama",
        "vocab_size": 257,
        "hidden_size": width,
        "intermediate_size": inner,
        "num_hidden_layers": layers,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "max_position_embeddings": 32,
        "rms_norm_eps": 1e-5,
    }
    shapes = {"model.embed_tokens.weight": (257, width), "model.norm.weight": (width,), "lm_head.weight": (257, width)}
    for n in range(layers):
        layer = {
            "input_layernorm": (width,),
            "post_attention_layernorm": (width,),
            "self_attn.q_proj": (width, width),
            "self_attn.k_proj": (width // 2, width),
            "self_attn.v_proj": (width // 2, width),
            "self_attn.o_proj": (width, width),
            "mlp.gate_proj": (inner, width),
            "mlp.up_proj": (inner, width),
            "mlp.down_proj": (width, inner),
        }
        shapes |= {f"model.layers.{n}.{name}.weight": shape for name, shape in layer.items()}
    header, data = {}, b""
    random = numpy.random.default_rng(1)
    for name, shape in shapes.items():
        tensor = random.standard_normal(shape).astype("<f4").tobytes()
        offsets = [len(data), len(data) + len(tensor)]
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": offsets}
        data += tensor
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    words = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(len(words).to_bytes(8, "little") + words + data)


def test_int8_models_are_those_of_the_command(command, models, checkpoints, tmp_path):
    write_transformer(tmp_path / "tiny")
    model = lmic.quantize_model(tmp_path / "tiny", tmp_path / "q.safetensors")
    assert (model.name, model.precision) == ("q", "int8")
    (tmp_path / "theirs").mkdir()
    command("model", "quantize", tmp_path / "tiny", tmp_path / "theirs" / "q.safetensors")
    assert model.path.read_bytes() == (tmp_path / "theirs" / "q.safetensors").read_bytes()
    with pytest.raises(lmic.InvalidArgumentError, match="int8 already"):
        lmic.quantize_model(models / "byte-200k.safetensors", tmp_path / "r.safetensors")
    with pytest.raises(lmic.InvalidArgumentError, match="no byte model"):
        lmic.quantize_model(checkpoints / "llama", tmp_path / "r.safetensors")
    assert not (tmp_path / "r.safetensors").exists()


def test_what_is_no_model_is_refused(tmp_path):
    (tmp_path / "text").write_bytes(b"no model")
    with pytest.raises(lmic.LmicError, match="text"):
        lmic.load_model(tmp_path / "text")
    with pytest.raises(TypeError):
        lmic.compress(b"a", model=3)
