#!/usr/bin/env python3
"""Makes tiny checkpoints with random weights as transformers saves them, and what transformers computes with them.

    scripts/llama_fixtures.py crates/lmic-llama/tests/fixtures            # all that are not there, below 1 MB
    scripts/llama_fixtures.py --wide DIR                                  # GGUF files of K-quants and with a vocabulary of SentencePiece, not for the repository
    scripts/llama_fixtures.py --big DIR TEXT     # a Llama of 1.1 G parameters in bf16, with tokens of TEXT; not for the repository
    scripts/llama_fixtures.py --gguf Q8_0 DIR FILE.gguf                   # the same quantised

Each folder has config.json, safetensors, tokenizer.json and logits.json: the tokens of a text, and the logits at some
positions by transformers in float32 with eager attention. The GGUF files hold the same kinds of models quantised; their logits
are those of the dequantised weights. Needs torch, transformers, tokenizers, gguf; --wide also sentencepiece.
"""
import argparse
import io
import json
import pathlib

import gguf
import numpy
import tokenizers
import torch
import transformers
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors, trainers

TEXT = ("It was the best of times, it was the worst of times: 1,234,567 of them.\n\n  Don't ask\twhy; naïve cafés "
        "in Zürich cost 12.50 €, 日本語 too. ")
TRAINING = [TEXT, "the quick brown fox jumps over the lazy dog. " * 3, "to be or not to be, that is the question: "
            "whether 'tis nobler in the mind to suffer the slings and arrows of outrageous fortune"] * 4
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
          r"|\s+(?!\S)|\s+")


def byte_level(training=TRAINING, vocab=340):
    """As Llama 3 and Qwen have it."""
    tokenizer = tokenizers.Tokenizer(models.BPE(ignore_merges=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(tokenizers.Regex(LLAMA3), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<|begin_of_text|>", "<|end_of_text|>"]
    trainer = trainers.BpeTrainer(vocab_size=vocab, special_tokens=special,
                                  initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False)
    tokenizer.train_from_iterator(training, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<|begin_of_text|> $A", special_tokens=[("<|begin_of_text|>", 0)])
    return json.loads(tokenizer.to_str())


def byte_fallback():
    """As Llama 2 and Mistral have it, made of a SentencePiece model."""
    tokenizer = tokenizers.Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(),
                                           decoders.Strip(" ", 1, 0)])
    special = ["<unk>", "<s>", "</s>"]
    data = [f"<0x{byte:02X}>" for byte in range(256)]
    alphabet = sorted(set("".join(TRAINING)) - set("日本語€ï"))
    trainer = trainers.BpeTrainer(vocab_size=360, special_tokens=special + data, show_progress=False,
                                  limit_alphabet=len(alphabet) - 8, max_token_length=12)
    tokenizer.train_from_iterator(TRAINING, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    content = json.loads(tokenizer.to_str())
    content["added_tokens"] = [token for token in content["added_tokens"] if token["content"] in special]
    for token in data:
        content["model"]["vocab"].setdefault(token, 3 + data.index(token))
    return content


SHAPE = dict(hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
             head_dim=8, max_position_embeddings=128, initializer_range=0.3)


def families():
    """Name: configuration, number format, tokenizer, bytes of a shard."""
    byte, spm = byte_level(), byte_fallback()
    of = lambda tokenizer: dict(vocab_size=len(tokenizer["model"]["vocab"]))
    b, s = dict(**SHAPE, **of(byte)), dict(**SHAPE, **of(spm))
    byte_ids = dict(bos_token_id=0, eos_token_id=1)
    spm_ids = dict(bos_token_id=1, eos_token_id=2)
    return {
        "llama": (transformers.LlamaConfig(**b, **byte_ids, rms_norm_eps=1e-5, rope_parameters=dict(
            rope_type="llama3", rope_theta=500000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
            original_max_position_embeddings=32)), torch.bfloat16, byte, "5GB"),
        "llama-linear": (transformers.LlamaConfig(**s, **spm_ids, attention_bias=True, mlp_bias=True, tie_word_embeddings=True,
                         rope_parameters=dict(rope_type="linear", rope_theta=10000.0, factor=4.0)),
                         torch.float16, spm, "5GB"),
        "mistral": (transformers.MistralConfig(**s, **spm_ids, sliding_window=24), torch.bfloat16, spm, "5GB"),
        "qwen2": (transformers.Qwen2Config(**{k: v for k, v in b.items() if k != "head_dim"}, bos_token_id=None, eos_token_id=1,
                  tie_word_embeddings=True, rope_parameters=dict(rope_type="dynamic", rope_theta=10000.0, factor=2.0)),
                  torch.float32, byte, "5GB"),
        "qwen3": (transformers.Qwen3Config(**b, bos_token_id=None, eos_token_id=1, rope_parameters=dict(
            rope_type="yarn", rope_theta=10000.0, factor=4.0, beta_fast=4.0, beta_slow=0.01,
            original_max_position_embeddings=32)), torch.bfloat16, byte, "40KB"),
        "gemma2": (transformers.Gemma2Config(**s, **spm_ids, sliding_window=16, query_pre_attn_scalar=16,
                   attn_logit_softcapping=20.0, final_logit_softcapping=15.0), torch.bfloat16, spm, "5GB"),
        "gemma3": (transformers.Gemma3TextConfig(**{**s, "num_hidden_layers": 4}, **spm_ids, sliding_window=16,
                   query_pre_attn_scalar=16, layer_types=["sliding_attention", "sliding_attention", "full_attention",
                                                          "sliding_attention"]), torch.bfloat16, spm, "5GB"),
    }


def random_model(config, dtype):
    torch.manual_seed(3)
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager").float().eval()
    for name, weights in model.named_parameters():
        if "norm" in name:
            center = 0.0 if "gemma" in config.model_type else 1.0
            torch.nn.init.uniform_(weights, center - 0.4, center + 0.4)
        elif name.endswith("bias"):
            torch.nn.init.uniform_(weights, -0.5, 0.5)
    return model.to(dtype)


def logits(model, tokens):
    """At some positions."""
    with torch.no_grad():
        found = model.float()(torch.tensor([tokens])).logits[0].double()
    rows = [len(tokens) // 2, len(tokens) - 1]
    bits = -torch.log_softmax(found, 1)[range(len(tokens) - 1), tokens[1:]].sum().item() / numpy.log(2)
    return {"logits": {row: [round(x, 4) for x in found[row].tolist()] for row in rows}, "bits": round(bits, 4)}


def tokens_of(tokenizer, start):
    """Of the text, behind the start token."""
    found = tokenizers.Tokenizer.from_str(json.dumps(tokenizer)).encode(TEXT, add_special_tokens=False).ids
    return [start, *found]


def write_logits(path, model, tokenizer, start):
    tokens = tokens_of(tokenizer, start)
    content = {"transformers": transformers.__version__, "text": TEXT, "tokens": tokens, **logits(model, tokens)}
    path.write_text(json.dumps(content, separators=(",", ":")) + "\n", encoding="utf-8")


def make_folder(folder, config, dtype, tokenizer, shard):
    if folder.exists():
        return print(f"{folder} stays: golden archives may be coded with it")
    model = random_model(config, dtype)
    model.save_pretrained(folder, max_shard_size=shard)
    (folder / "generation_config.json").unlink(missing_ok=True)
    text = json.dumps(tokenizer, ensure_ascii=False, separators=(",", ":"))
    (folder / "tokenizer.json").write_text(text, encoding="utf-8")
    start = config.bos_token_id if config.bos_token_id is not None else config.eos_token_id
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
    write_logits(folder / "logits.json", model.eval(), tokenizer, start)


GGUF_NAMES = {
    "model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output",
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
}
GEMMA_NAMES = GGUF_NAMES | {
    "post_attention_layernorm": "post_attention_norm", "pre_feedforward_layernorm": "ffn_norm",
    "post_feedforward_layernorm": "post_ffw_norm",
}


def gguf_name(name, arch):
    names = GEMMA_NAMES if arch.startswith("gemma") else GGUF_NAMES
    stem, kind = name.rsplit(".", 1)
    if stem.startswith("model.layers."):
        _, _, layer, part = stem.split(".", 3)
        return f"blk.{layer}.{names[part]}.{kind}"
    return f"{names[stem]}.{kind}"


def permuted(weights, heads):
    """Rows of queries and keys as llama.cpp wants them for the architecture llama."""
    return weights.reshape(heads, 2, -1, *weights.shape[1:]).swapaxes(1, 2).reshape(weights.shape)


def quantized(weights, kind):
    """The bytes of a quantised matrix, and the numbers that they stand for."""
    if kind in ("Q4_K", "Q6_K"):  # the package can only read these
        return random_blocks(weights.shape, kind)
    kind = gguf.GGMLQuantizationType[kind]
    data = gguf.quants.quantize(weights, kind)
    return data, gguf.quants.dequantize(data, kind)


def random_blocks(shape, kind):
    rng = numpy.random.default_rng(5)
    size = {"Q4_K": 144, "Q6_K": 210}[kind]
    data = rng.integers(0, 256, (shape[0], shape[1] // 256, size), dtype=numpy.uint8)
    scales = {"Q4_K": [(0, 2e-4), (2, 1e-3)], "Q6_K": [(208, 5e-5)]}[kind]
    for at, scale in scales:
        data[..., at:at + 2] = numpy.frombuffer(numpy.float16(scale).tobytes(), dtype=numpy.uint8)
    data = data.reshape(shape[0], -1)
    return data, gguf.quants.dequantize(data, gguf.GGMLQuantizationType[kind])


def write_gguf(path, model, kinds, tokenizer, name):
    """Writes the model with matrices of `kinds` in turn, and puts the quantised weights back into it."""
    config = model.config
    arch = config.model_type.removesuffix("_text")
    gemma = arch.startswith("gemma")
    writer = gguf.GGUFWriter(path, arch)
    writer.add_name(name)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    writer.add_key_length(head_dim)
    writer.add_value_length(head_dim)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    rope = config.rope_parameters
    if arch == "gemma3":  # llama.cpp knows the base of layers with a window
        rope = rope["full_attention"]
    writer.add_rope_freq_base(rope["rope_theta"])
    writer.add_rope_dimension_count(head_dim)
    if rope["rope_type"] == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(rope["factor"])
    if rope["rope_type"] == "yarn":
        writer.add_rope_scaling_type(gguf.RopeScalingType.YARN)
        writer.add_rope_scaling_factor(rope["factor"])
        writer.add_rope_scaling_orig_ctx_len(rope["original_max_position_embeddings"])
        writer.add_rope_scaling_yarn_beta_fast(rope["beta_fast"])
        writer.add_rope_scaling_yarn_beta_slow(rope["beta_slow"])
    if gemma:
        writer.add_sliding_window(config.sliding_window)
    if arch == "gemma2":
        writer.add_attn_logit_softcapping(config.attn_logit_softcapping)
        writer.add_final_logit_softcapping(config.final_logit_softcapping)
    write_tokenizer(writer, tokenizer, config)
    if rope["rope_type"] == "llama3":
        writer.add_tensor("rope_freqs.weight", rope_factors(rope, head_dim))
    state = dict(model.float().named_parameters())
    matrix = 0
    for parameter, weights in state.items():
        data = weights.detach().numpy().astype(numpy.float32)
        heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}
        place = gguf_name(parameter, arch)
        part = place.split(".")[-2]
        turn = arch == "llama" and part in heads
        if turn:
            data = permuted(data, heads[part])
        if data.ndim == 1:
            if gemma and "norm" in parameter:  # as llama.cpp's converter does
                data = data + 1
            writer.add_tensor(place, data)
            continue
        kind = kinds[matrix % len(kinds)]
        matrix += 1
        raw, back = quantized(numpy.ascontiguousarray(data), kind)
        writer.add_tensor(place, raw, raw_dtype=gguf.GGMLQuantizationType[kind])
        if turn:
            back = back.reshape(heads[part], -1, 2, back.shape[1]).swapaxes(1, 2).reshape(back.shape)
        weights.data = torch.from_numpy(numpy.ascontiguousarray(back.reshape(weights.shape).astype(numpy.float32)))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def rope_factors(rope, head_dim):
    """What llama.cpp divides the frequencies by."""
    frequencies = rope["rope_theta"] ** (-torch.arange(0, head_dim, 2).double() / head_dim)
    low, high, length = rope["low_freq_factor"], rope["high_freq_factor"], rope["original_max_position_embeddings"]
    factors = []
    for frequency in frequencies.tolist():
        wavelength = 2 * numpy.pi / frequency
        smooth = (length / wavelength - low) / (high - low)
        if wavelength < length / high:
            factors.append(1.0)
        elif wavelength > length / low:
            factors.append(rope["factor"])
        else:
            factors.append(1 / ((1 - smooth) / rope["factor"] + smooth))
    return numpy.array(factors, dtype=numpy.float32)


def write_tokenizer(writer, tokenizer, config):
    if not isinstance(tokenizer, dict):
        return write_sentencepiece(writer, tokenizer)
    vocab = sorted(tokenizer["model"]["vocab"].items(), key=lambda item: item[1])
    special = {token["id"] for token in tokenizer["added_tokens"]}
    kinds = [gguf.TokenType.CONTROL if i in special else gguf.TokenType.BYTE if token.startswith("<0x")
             else gguf.TokenType.NORMAL for token, i in vocab]
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in tokenizer["model"]["merges"]]
    writer.add_token_list([token for token, _ in vocab])
    writer.add_token_types(kinds)
    if tokenizer["model"]["byte_fallback"]:
        writer.add_tokenizer_model("llama")
        ranks = {"".join(merge): rank for rank, merge in reversed(list(enumerate(tokenizer["model"]["merges"])))}
        writer.add_token_scores([-float(ranks.get(token, len(merges))) for token, _ in vocab])
        writer.add_add_space_prefix(True)
    else:
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre("llama-bpe")
        writer.add_token_merges(merges)
    if config.bos_token_id is not None:
        writer.add_bos_token_id(config.bos_token_id)
    writer.add_eos_token_id(config.eos_token_id)


SMALL_GGUF = [
    ("llama-q8_0", "llama", ["Q8_0"], {}), ("qwen2-q4_0", "qwen2", ["Q4_0", "F16"], {}),
    ("llama-linear-bf16", "llama-linear", ["BF16", "F32"], {"attention_bias": False, "mlp_bias": False, "intermediate_size": 32}),
    ("gemma2-q8_0", "gemma2", ["Q8_0"], {"query_pre_attn_scalar": 8, "num_hidden_layers": 3, "intermediate_size": 32,
                                         "layer_types": ["sliding_attention", "full_attention", "sliding_attention"]}),
    ("gemma3-q4_0", "gemma3", ["Q4_0"], {"query_pre_attn_scalar": 8, "num_hidden_layers": 7, "intermediate_size": 32,
                                         "layer_types": [*["sliding_attention"] * 5, "full_attention", "sliding_attention"]}),
    ("qwen3-yarn-q4_0", "qwen3", ["Q4_0"], {"intermediate_size": 32})]
WIDE_GGUF = [("qwen3-k", "qwen3", ["Q4_K", "Q6_K"], dict(hidden_size=256, intermediate_size=256, head_dim=64))]


def make_gguf(folder, files):
    all_families = families()
    for name, family, kinds, changes in files:
        if (folder / f"{name}.gguf").exists():
            print(f"{name} stays: golden archives may be coded with it")
            continue
        config, _, tokenizer, _ = all_families[family]
        for key, value in {"intermediate_size": 64, **changes}.items():
            setattr(config, key, value)
        model = random_model(config, torch.float32)
        write_gguf(folder / f"{name}.gguf", model, kinds, tokenizer, name)
        start = config.bos_token_id if config.bos_token_id is not None else config.eos_token_id
        write_logits(folder / f"{name}.json", model, tokenizer, start)


def make_sentencepiece(folder):
    """A vocabulary that SentencePiece makes of our documents, in a GGUF file, and how it cuts their lines."""
    import sentencepiece
    documents = sorted((pathlib.Path(__file__).resolve().parent.parent / "docs").glob("*.md"))
    lines = [line for document in documents for line in document.read_text().splitlines() if line.strip()]
    made = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=made, vocab_size=1000, model_type="bpe", byte_fallback=True, split_digits=True,
        character_coverage=0.995, normalization_rule_name="identity", remove_extra_whitespaces=False,
        max_sentence_length=100000, allow_whitespace_only_pieces=True, minloglevel=2)
    vocab = sentencepiece.SentencePieceProcessor(model_proto=made.getvalue())
    config = transformers.LlamaConfig(**{**SHAPE, "intermediate_size": 32}, vocab_size=len(vocab), bos_token_id=1, eos_token_id=2)
    write_gguf(folder / "sentencepiece.gguf", random_model(config, torch.float32), ["Q8_0"], vocab, "sentencepiece")
    texts = [*lines, "hello  world", "   indent", "日本語 and é", "a\tb", "1234567", "trailing  ", "two\n\nlines"]
    cut = [[text, vocab.encode(text)] for text in texts]
    (folder / "sentencepiece.json").write_text(json.dumps(cut) + "\n")


def write_sentencepiece(writer, vocab):
    ids = range(len(vocab))
    kind = lambda i: (gguf.TokenType.UNKNOWN if vocab.is_unknown(i) else gguf.TokenType.CONTROL if vocab.is_control(i)
                      else gguf.TokenType.BYTE if vocab.is_byte(i) else gguf.TokenType.NORMAL)
    writer.add_tokenizer_model("llama")
    writer.add_token_list([vocab.id_to_piece(i) for i in ids])
    writer.add_token_scores([vocab.get_score(i) for i in ids])
    writer.add_token_types([kind(i) for i in ids])
    writer.add_bos_token_id(vocab.bos_id())
    writer.add_eos_token_id(vocab.eos_id())


def dequantized_blocks(path):
    """Blocks of each format with random bytes, and their numbers."""
    rng = numpy.random.default_rng(1)
    found = {}
    for kind, size in [("Q8_0", 34), ("Q4_0", 18), ("Q4_K", 144), ("Q6_K", 210)]:
        data = rng.integers(0, 256, (2, size), dtype=numpy.uint8)
        for at in {"Q8_0": [0], "Q4_0": [0], "Q4_K": [0, 2], "Q6_K": [208]}[kind]:
            data[:, at + 1] &= 0x3b  # scales that are positive and not large
        numbers = gguf.quants.dequantize(data, gguf.GGMLQuantizationType[kind])
        found[kind] = {"bytes": data.flatten().tolist(), "numbers": [float(x) for x in numbers.flatten()]}
    path.write_text(json.dumps(found, separators=(",", ":")) + "\n", encoding="utf-8")


def make_big(folder, text):
    byte = byte_level(text.read_text(errors="ignore").splitlines(True), 32000)
    config = transformers.LlamaConfig(
        vocab_size=32000, hidden_size=2048, intermediate_size=5632, num_hidden_layers=22, num_attention_heads=32,
        num_key_value_heads=4, max_position_embeddings=2048, bos_token_id=0, eos_token_id=1)
    torch.manual_seed(3)
    torch.set_default_dtype(torch.bfloat16)
    model = transformers.LlamaForCausalLM(config)
    print(f"{model.num_parameters()} parameters")
    model.save_pretrained(folder, max_shard_size="1GB")
    (folder / "tokenizer.json").write_text(json.dumps(byte), encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("output", type=pathlib.Path, nargs="?")
    parser.add_argument("--big", action="store_true")
    parser.add_argument("--wide", action="store_true", help="GGUF files of K-quants, whose rows are wide, and of SentencePiece, and nothing else")
    parser.add_argument("--gguf", metavar="KIND")
    args = parser.parse_args()
    if args.gguf:
        model = transformers.AutoModelForCausalLM.from_pretrained(args.folder, dtype=torch.float32)
        tokenizer = json.loads((args.folder / "tokenizer.json").read_text())
        have = len(tokenizer["model"]["vocab"])
        for i in range(have, model.config.vocab_size):
            tokenizer["model"]["vocab"][f"<unused{i}>"] = i
        return write_gguf(args.output, model, [args.gguf], tokenizer, args.output.stem)
    if args.big:
        return make_big(args.folder, args.output)
    args.folder.mkdir(parents=True, exist_ok=True)
    if args.wide:
        make_sentencepiece(args.folder)
        return make_gguf(args.folder, WIDE_GGUF)
    for name, family in families().items():
        make_folder(args.folder / name, *family)
    make_gguf(args.folder, SMALL_GGUF)
    dequantized_blocks(args.folder / "blocks.json")


main()
