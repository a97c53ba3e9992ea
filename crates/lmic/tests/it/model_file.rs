//! Model files: what is written is read, what is not valid is refused with the reason, nothing panics.

use std::fs;

use lmic::nn::{Config, Matrix, Precision, START_SYMBOL, Weights};
use lmic::{ErrorKind, Result};
use proptest::prelude::*;
use serde_json::{Value, json};

fn config() -> Config {
    Config {
        vocab_size: 257,
        hidden_size: 4,
        intermediate_size: 6,
        num_hidden_layers: 2,
        num_attention_heads: 2,
        num_key_value_heads: 1,
        head_dim: 4,
        max_position_embeddings: 16,
        sliding_window: None,
        rope_theta: 10_000.0,
        rms_norm_eps: 1e-5,
        tie_word_embeddings: true,
    }
}

fn model() -> Weights {
    Weights { name: "tiny".into(), ..Weights::random(&config(), 1) }
}

const NORM: &str = "model.norm.weight";
const Q: &str = "model.layers.1.self_attn.q_proj.weight";

/// A safetensors file taken apart, to be changed and put together again: `bytes` of each tensor of the header.
#[derive(Clone)]
struct Parts {
    metadata: Option<Value>,
    tensors: Vec<(String, &'static str, Vec<u64>, Vec<u8>)>,
}

impl Parts {
    fn of(weights: &Weights) -> Self {
        let file = weights.to_safetensors();
        let (header, data) = split(&file);
        let mut tensors = Vec::new();
        for (name, info) in header.as_object().unwrap() {
            if name != "__metadata__" {
                let dtype = if info["dtype"] == "I8" { "I8" } else { "F32" };
                let shape = info["shape"].as_array().unwrap();
                let shape = shape.iter().map(|dim| dim.as_u64().unwrap()).collect();
                let [begin, end] = [0, 1].map(|i| info["data_offsets"][i].as_u64().unwrap());
                let bytes = data[begin as usize..end as usize].to_vec();
                tensors.push((name.clone(), dtype, shape, bytes));
            }
        }
        Self { metadata: Some(header["__metadata__"].clone()), tensors }
    }

    fn file(&self) -> Vec<u8> {
        let (mut header, mut data) = (json!({}), Vec::new());
        if let Some(metadata) = &self.metadata {
            header["__metadata__"] = metadata.clone();
        }
        for (name, dtype, shape, bytes) in &self.tensors {
            let offsets = [data.len(), data.len() + bytes.len()];
            header[name] = json!({"shape": shape, "data_offsets": offsets, "dtype": dtype});
            data.extend_from_slice(bytes);
        }
        join(&header.to_string(), &data)
    }

    fn tensor(&mut self, name: &str) -> (&mut &'static str, &mut Vec<u64>, &mut Vec<u8>) {
        let tensor = self.tensors.iter_mut().find(|tensor| tensor.0 == name).unwrap();
        (&mut tensor.1, &mut tensor.2, &mut tensor.3)
    }
}

fn split(file: &[u8]) -> (Value, &[u8]) {
    let len = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
    (serde_json::from_slice(&file[8..8 + len]).unwrap(), &file[8 + len..])
}

fn join(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T>, kind: ErrorKind, words: &[&str]) {
    let error = result.unwrap_err();
    let message = error.to_string();
    assert_eq!(error.kind(), kind, "{message}");
    for word in words {
        assert!(message.contains(word), "{word:?} is not in: {message}");
    }
    assert!(message.len() < 800, "{message}");
}

/// Changes a model file and says how it is refused.
#[track_caller]
fn refused_after(change: impl FnOnce(&mut Parts), kind: ErrorKind, words: &[&str]) {
    let mut parts = Parts::of(&model());
    change(&mut parts);
    refused(Weights::from_bytes(&parts.file()), kind, words);
}

fn shapes() -> [Config; 3] {
    let plain = config();
    let untied = Config { tie_word_embeddings: false, sliding_window: Some(7), ..config() };
    let wide = Config { hidden_size: 12, num_key_value_heads: 2, rope_theta: 5e5, ..config() };
    [plain, untied, wide]
}

#[test]
fn both_precisions_come_back_from_bytes() {
    for config in shapes() {
        let f32_model = Weights::random(&config, 3);
        let int8_model = f32_model.quantize().unwrap();
        for weights in [&f32_model, &int8_model] {
            let file = weights.to_safetensors();
            let read = Weights::from_bytes(&file).unwrap();
            assert_eq!(&read, weights);
            assert_eq!(read.to_safetensors(), file);
            assert_eq!(read.identity(), weights.identity());
            let (header, data) = split(&file);
            assert_eq!((file.len() - data.len()) % 8, 0);
            assert_eq!(data.len() as u64, weights.byte_len());
            assert_eq!(header["__metadata__"]["lmic_name"], "random");
        }
        assert_eq!(f32_model.precision(), Precision::F32);
        assert_eq!(int8_model.precision(), Precision::Int8);
        assert_eq!(f32_model.byte_len(), 4 * config.params());
    }
}

#[test]
fn parameters_of_the_papers_models() {
    let paper = |hidden_size, intermediate_size, heads| Config {
        hidden_size,
        intermediate_size,
        num_hidden_layers: 4,
        num_attention_heads: heads,
        num_key_value_heads: heads,
        head_dim: hidden_size / heads,
        max_position_embeddings: 2048,
        tie_word_embeddings: false,
        ..config()
    };
    // 2 tables of 257 d, 4 layers of 4 d^2 + 3 d ff + 2 d, a norm of d
    assert_eq!(paper(64, 176, 4).params(), 2 * 257 * 64 + 4 * (16_384 + 33_792 + 128) + 64);
    assert_eq!(paper(256, 688, 8).params(), 3_296_000);
}

#[test]
fn directory_and_single_files_are_the_same_model() {
    let dir = std::env::temp_dir().join(format!("lmic-model-file-{}", std::process::id()));
    let inner = dir.join("byte-llama");
    fs::create_dir_all(&inner).unwrap();
    let mut parts = Parts::of(&model());
    parts.metadata = Some(json!({"format": "pt"})); // as transformers writes
    parts.tensors.reverse();
    fs::write(inner.join("model.safetensors"), parts.file()).unwrap();
    refused(Weights::load(&inner), ErrorKind::Io, &["config.json"]);
    fs::write(inner.join("config.json"), config().to_json()).unwrap();
    let from_dir = Weights::load(&inner).unwrap();
    let beside_config = Weights::load(&inner.join("model.safetensors")).unwrap();
    fs::write(dir.join("q.safetensors"), model().quantize().unwrap().to_safetensors()).unwrap();
    let alone = Weights::load(&dir.join("q.safetensors")).unwrap();
    let missing = Weights::load(&dir.join("missing"));
    let no_model = Weights::load(&dir);
    fs::remove_dir_all(&dir).unwrap();

    assert_eq!(from_dir.name, "byte-llama");
    assert_eq!(beside_config.name, "model");
    assert_eq!(from_dir.identity(), model().identity());
    assert_eq!(beside_config.identity(), model().identity());
    assert_eq!(alone, model().quantize().unwrap());
    refused(missing, ErrorKind::Io, &["missing"]);
    refused(no_model, ErrorKind::Io, &["model.safetensors"]);
    refused(Weights::from_bytes(&parts.file()), ErrorKind::InvalidArgument, &["lmic_config"]);
}

#[test]
fn sixteen_bit_floats_are_widened() {
    // Norm weights of 4: 1, -2, the smallest subnormal, the largest finite number.
    let f16: [u16; 4] = [0x3c00, 0xc000, 0x0001, 0x7bff];
    let bf16: [u16; 4] = [0x3f80, 0xc000, 0x0001, 0x7f7f];
    let smallest = 2f32.powi(-133); // 2^-126, and 7 bits of fraction
    let cases = [
        ("F16", f16, [1.0, -2.0, 2f32.powi(-24), 65_504.0]),
        ("BF16", bf16, [1.0, -2.0, smallest, f32::from_bits(0x7f7f_0000)]),
    ];
    for (dtype, bits, expected) in cases {
        let mut parts = Parts::of(&model());
        let tensor = parts.tensor(NORM);
        *tensor.0 = dtype;
        *tensor.2 = bits.iter().flat_map(|x| x.to_le_bytes()).collect();
        let read = Weights::from_bytes(&parts.file()).unwrap();
        assert_eq!(read.norm, expected);
        let plain = Weights { norm: expected.to_vec(), ..model() };
        assert_eq!(read.identity(), plain.identity());
        for bad in [0x7f80u16, 0x7fff] {
            // infinity (of BF16), NaN; as F16 both are NaN
            parts.tensor(NORM).2[2..4].copy_from_slice(&bad.to_le_bytes());
            let read = Weights::from_bytes(&parts.file());
            refused(read, ErrorKind::Corrupt, &[NORM, "at 1", "finite"]);
        }
    }
    let every_half = (0..=u16::MAX).flat_map(u16::to_le_bytes).collect::<Vec<_>>();
    let mut parts = Parts::of(&model());
    // Half by half, 4 at a time, against arithmetic: sign * 2^(e - 15) * (1 + f / 1024).
    for halves in every_half.chunks(8).step_by(37) {
        let tensor = parts.tensor(NORM);
        *tensor.0 = "F16";
        *tensor.2 = halves.to_vec();
        let expected = halves.chunks(2).map(|half| {
            let bits = u16::from_le_bytes([half[0], half[1]]);
            let (e, f) = (i32::from(bits >> 10 & 31), f64::from(bits & 1023));
            let size =
                if e == 0 { f / 2f64.powi(24) } else { 2f64.powi(e - 15) * (1.0 + f / 1024.0) };
            (e < 31).then_some((if bits >> 15 == 1 { -size } else { size }) as f32)
        });
        let expected: Option<Vec<f32>> = expected.collect();
        assert_eq!(Weights::from_bytes(&parts.file()).ok().map(|w| w.norm), expected);
    }
}

#[test]
fn every_truncation_is_reported() {
    for weights in [model(), model().quantize().unwrap()] {
        let file = weights.to_safetensors();
        for len in 0..file.len() {
            refused(Weights::from_bytes(&file[..len]), ErrorKind::Truncated, &["ends"]);
        }
        let longer = [file.as_slice(), &[0]].concat();
        refused(Weights::from_bytes(&longer), ErrorKind::Corrupt, &["1 bytes after"]);
    }
}

#[test]
fn numbers_that_cannot_be_computed_with_are_refused() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for name in [NORM, Q] {
            let change =
                |p: &mut Parts| p.tensor(name).2[12..16].copy_from_slice(&bad.to_le_bytes());
            refused_after(change, ErrorKind::Corrupt, &[name, "at 3", &bad.to_string()]);
        }
    }
    let int8 = Parts::of(&model().quantize().unwrap());
    let scale = format!("{Q}_scale");
    let mut low = int8.clone();
    low.tensor(Q).2[5] = 0x80;
    refused(Weights::from_bytes(&low.file()), ErrorKind::Corrupt, &[Q, "-128 at 5", "-127"]);
    for bad in [-1.0, f32::NAN, f32::INFINITY, f32::MAX] {
        let mut parts = int8.clone();
        parts.tensor(&scale).2[4..8].copy_from_slice(&bad.to_le_bytes());
        refused(Weights::from_bytes(&parts.file()), ErrorKind::Corrupt, &[&scale, "at 1"]);
    }
}

#[test]
fn tensors_must_be_those_of_the_config() {
    use ErrorKind::{Corrupt, InvalidArgument};
    refused_after(|p| p.tensors.retain(|t| t.0 != Q), Corrupt, &[Q, "missing"]);
    let extra = |p: &mut Parts| p.tensors.push(("a\nb".into(), "F32", vec![0], vec![]));
    refused_after(extra, Corrupt, &["\"a\\nb\"", "config"]);
    let head = |p: &mut Parts| {
        let embed = p.tensor("model.embed_tokens.weight");
        let copy = ("lm_head.weight".into(), *embed.0, embed.1.clone(), embed.2.clone());
        p.tensors.push(copy); // of a tied model
    };
    refused_after(head, Corrupt, &["lm_head.weight"]);
    refused_after(|p| p.tensor(Q).1.reverse(), Corrupt, &[Q, "[4, 8]", "[8, 4]"]);
    refused_after(|p| p.tensor(NORM).1.push(1), Corrupt, &[NORM, "[4, 1]", "[4]"]);
    let double = |p: &mut Parts| {
        let tensor = p.tensor(NORM);
        *tensor.0 = "F64";
        tensor.1[0] /= 2;
    };
    refused_after(double, InvalidArgument, &[NORM, "F64", "BF16"]);
    let mixed = |p: &mut Parts| {
        let tensor = p.tensor(Q);
        *tensor.0 = "I8";
        tensor.2.truncate(32);
    };
    refused_after(mixed, InvalidArgument, &[Q, "I8"]);
    let mut int8 = Parts::of(&model().quantize().unwrap());
    let tensor = int8.tensor(Q);
    *tensor.0 = "F16";
    tensor.2.resize(64, 0);
    refused(Weights::from_bytes(&int8.file()), InvalidArgument, &[Q, "not I8"]);
}

#[test]
fn hostile_headers_are_refused() {
    use ErrorKind::{Corrupt, Truncated};
    let t = |begin: u64, end: u64, shape: &str| {
        format!(r#"{{"dtype":"I8","shape":{shape},"data_offsets":[{begin},{end}]}}"#)
    };
    let max = u64::MAX;
    let half = 1u64 << 63;
    let cases = [
        (format!(r#"{{"a":{}}}"#, t(0, max, &format!("[{max}]"))), Truncated, "of"),
        (format!(r#"{{"a":{}}}"#, t(0, 0, &format!("[{half},2]"))), Corrupt, "fill"),
        (format!(r#"{{"a":{}}}"#, t(0, 4, &format!("[{half},{half},0]"))), Corrupt, "fill"),
        (format!(r#"{{"a":{}}}"#, t(4, 0, "[4]")), Corrupt, "begins at byte 4"),
        (format!(r#"{{"a":{},"b":{}}}"#, t(0, 4, "[4]"), t(2, 6, "[4]")), Corrupt, "\"b\" begins"),
        (format!(r#"{{"a":{},"b":{}}}"#, t(0, 4, "[4]"), t(0, 4, "[4]")), Corrupt, "\"b\" begins"),
        (format!(r#"{{"a":{},"b":{}}}"#, t(0, 4, "[4]"), t(6, 8, "[2]")), Corrupt, "\"b\" begins"),
        (format!(r#"{{"a":{},"a":{}}}"#, t(0, 4, "[4]"), t(4, 8, "[4]")), Corrupt, "twice"),
        (format!(r#"{{"a":{}}}"#, t(0, 4, "[4]")), Corrupt, "4 bytes after"),
        (format!(r#"{{"a":{}}}"#, t(0, 8, "[-8]")), Corrupt, "header"),
        (format!(r#"{{"a":{}}}"#, t(0, 8, "[8.0]")), Corrupt, "header"),
        (format!(r#"{{"a":{}}}"#, t(0, 8, "[1,1,1,1,1,1,1,1,8]")), Corrupt, "more than 8"),
        (format!(r#"{{"{}":{}}}"#, "x".repeat(300), t(0, 8, "[8]")), Corrupt, "300 bytes"),
        (r#"{"a":{"dtype":"I8","shape":[8]}}"#.into(), Corrupt, "lacks"),
        (r#"{"a":{"dtype":"I8","shape":[8],"data_offsets":[8]}}"#.into(), Corrupt, "pair"),
        (r#"{"a":{"dtype":"I8","dtype":"I8"}}"#.into(), Corrupt, "twice"),
        (r#"{"__metadata__":{"a":[1]}}"#.into(), Corrupt, "no string"),
        (r#"{"__metadata__":{"a":{}}}"#.into(), Corrupt, "header"),
        ("[]".into(), Corrupt, "header"),
        ("{} {}".into(), Corrupt, "header"),
        ("{\"\u{0}\":1}".into(), Corrupt, "header"),
        (format!(r#"{{"a":{}"#, "[".repeat(100_000)), Corrupt, "header"),
    ];
    for (header, kind, word) in cases {
        refused(Weights::from_bytes(&join(&header, &[0; 8])), kind, &[word]);
    }
    let mut not_utf8 = join(r#"{"a":"b"}"#, &[]);
    not_utf8[10] = 0xff;
    refused(Weights::from_bytes(&not_utf8), Corrupt, &["header"]);
    for (len, kind) in
        [(max, Corrupt), (half, Corrupt), (1 << 20, Truncated), (1 << 21, Corrupt), (9, Truncated)]
    {
        let file = [&len.to_le_bytes()[..], b"{}"].concat();
        refused(Weights::from_bytes(&file), kind, &["header"]);
    }
    refused(Weights::from_bytes(b"PK\x03\x04 no model at all"), Corrupt, &["no safetensors file"]);
}

/// Nothing that is read breaks what a [`Weights`] promises.
fn check_any(file: &[u8]) {
    let Ok(weights) = Weights::from_bytes(file) else { return };
    assert!(weights.norm.iter().all(|x| x.is_finite()));
    assert_eq!(Weights::from_bytes(&weights.to_safetensors()).unwrap(), weights);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn changed_bytes_never_panic(
        int8 in any::<bool>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        in_header in any::<bool>(),
    ) {
        let weights = if int8 { model().quantize().unwrap() } else { model() };
        let mut file = weights.to_safetensors();
        let data_len = split(&file).1.len();
        let end = if in_header { file.len() - data_len } else { file.len() };
        for (at, byte) in changes {
            file[at.index(end)] = byte;
        }
        check_any(&file);
    }

    #[test]
    fn any_bytes_never_panic(header in "[\\[\\]{}:,\"a-z0-9]{0,60}", data in any::<Vec<u8>>()) {
        check_any(&data);
        check_any(&join(&header, &data));
    }
}

/// What transformers 4 writes, with keys that mean nothing here.
fn json4() -> Value {
    json!({
        "architectures": ["LlamaForCausalLM"], "attention_bias": false, "attention_dropout": 0.0,
        "bos_token_id": 256, "eos_token_id": null, "head_dim": 16, "hidden_act": "silu",
        "hidden_size": 64, "initializer_range": 0.02, "intermediate_size": 176,
        "max_position_embeddings": 2048, "mlp_bias": false, "model_type": "llama",
        "num_attention_heads": 4, "num_hidden_layers": 4, "num_key_value_heads": 4,
        "pretraining_tp": 1, "rms_norm_eps": 1e-05, "rope_scaling": null, "rope_theta": 10000.0,
        "tie_word_embeddings": false, "torch_dtype": "float32", "transformers_version": "4.57.1",
        "use_cache": true, "vocab_size": 257
    })
}

fn parse(json: &Value) -> Result<Config> {
    Config::from_json(&json.to_string())
}

#[test]
fn configs_of_transformers_4_and_5_are_read() {
    let config = parse(&json4()).unwrap();
    assert_eq!(config.params(), Weights::random(&config, 0).byte_len() / 4);
    let mut json5 = json4();
    let keys = json5.as_object_mut().unwrap();
    keys.remove("rope_theta");
    keys.remove("rope_scaling");
    keys.remove("torch_dtype");
    keys.insert("dtype".into(), "float32".into());
    let rope = json!({"rope_theta": 10000.0, "rope_type": "default"});
    keys.insert("rope_parameters".into(), rope);
    assert_eq!(parse(&json5).unwrap(), config);
    json5["rope_parameters"]["rope_theta"] = 500_000.into();
    assert_eq!(parse(&json5).unwrap().rope_theta, 5e5);
    let mut sparse = json4();
    for key in ["head_dim", "num_key_value_heads", "rope_theta", "tie_word_embeddings"] {
        sparse[key] = Value::Null;
    }
    assert_eq!(parse(&sparse).unwrap(), config);
    for config in shapes() {
        assert_eq!(Config::from_json(&config.to_json()).unwrap(), config);
        assert_eq!(config.to_json(), config.to_json());
    }
    assert_eq!(START_SYMBOL, 256);
}

#[test]
fn configs_that_are_not_supported_are_refused_by_name() {
    let rope = |kind| json!({"rope_type": kind, "factor": 2.0});
    let cases = [
        ("model_type", json!("qwen3"), &["qwen3", "llama"][..]),
        ("model_type", Value::Null, &["no key"]),
        ("hidden_act", json!("gelu"), &["gelu", "silu"]),
        ("attention_bias", json!(true), &["true", "false"]),
        ("mlp_bias", json!(true), &["true", "false"]),
        ("bos_token_id", json!(1), &["1", "256"]),
        ("rope_scaling", rope("yarn"), &["yarn", "default"]),
        ("rope_scaling", rope("default"), &["factor", "2.0"]),
        ("rope_scaling", json!(2), &["null"]),
        ("rope_parameters", json!({"rope_type": "llama3"}), &["llama3", "default"]),
        ("rope_parameters", json!({"rope_theta": 7.0}), &["rope_theta", "7.0", "10000"]),
        ("rope_parameters", json!({"partial_rotary_factor": 0.5}), &["partial", "0.5"]),
        ("partial_rotary_factor", json!(0.5), &["0.5", "1.0"]),
        ("rope_theta", json!(0.5), &["0.5", "1 to"]),
        ("rope_theta", json!("a"), &["\"a\"", "number"]),
        ("rms_norm_eps", json!(0), &["0", "above 0"]),
        ("rms_norm_eps", json!(-1e-5), &["above 0"]),
        ("rms_norm_eps", Value::Null, &["no key"]),
        ("vocab_size", json!(32000), &["32000", "257"]),
        ("vocab_size", json!(257.0), &["257.0", "whole"]),
        ("hidden_size", json!(0), &["0", "16384"]),
        ("hidden_size", json!(16385), &["16385", "16384"]),
        ("hidden_size", json!(-64), &["-64", "whole"]),
        ("hidden_size", json!(1e30), &["whole"]),
        ("intermediate_size", json!(65537), &["65537", "65536"]),
        ("num_hidden_layers", json!(257), &["256"]),
        ("num_hidden_layers", json!(u64::MAX), &["256"]),
        ("num_attention_heads", json!(0), &["256"]),
        ("num_key_value_heads", json!(3), &["3", "divisor", "4"]),
        ("num_key_value_heads", json!(0), &["0", "1 to 256"]),
        ("num_key_value_heads", json!(8), &["8", "divisor"]),
        ("head_dim", json!(15), &["15", "multiple of 4"]),
        ("head_dim", json!(18), &["18", "multiple of 4"]),
        ("head_dim", json!(2048), &["2048", "1024"]),
        ("max_position_embeddings", json!(1 << 21), &["2097152", "1048576"]),
        ("sliding_window", json!(0), &["0", "1 to"]),
        ("tie_word_embeddings", json!("yes"), &["yes", "true or false"]),
        ("tie_word_embeddings", json!("y".repeat(10_000)), &["true or false"]),
    ];
    for (key, value, words) in cases {
        let mut json = json4();
        json[key] = value;
        refused(parse(&json), ErrorKind::InvalidArgument, &[&[key], words].concat());
    }
    for text in ["", "{", "[]", "null", r#"{"vocab_size":NaN}"#] {
        refused(Config::from_json(text), ErrorKind::Corrupt, &["config"]);
    }
    let twice = r#"{"model_type":"llama","model_type":"llama"}"#;
    refused(Config::from_json(twice), ErrorKind::Corrupt, &["model_type", "twice"]);
}

#[test]
fn quantised_weights_are_within_half_a_scale() {
    let model = Weights::random(&shapes()[1], 9);
    let int8 = model.quantize().unwrap();
    let pairs = [(&model.embed, &int8.embed), (&model.layers[0].down, &int8.layers[0].down)];
    for (plain, quantised) in pairs {
        let Matrix::F32 { cols, data: plain, .. } = plain else { panic!() };
        let Matrix::I8 { data, scales, .. } = quantised else { panic!() };
        for (i, (w, q)) in plain.iter().zip(data).enumerate() {
            let scale = f64::from(scales[i / cols]);
            let off = (f64::from(*w) - f64::from(*q) * scale).abs();
            assert!(off <= scale * 0.500_01, "{w} became {q} * {scale}");
        }
        for row in data.chunks(*cols) {
            assert_eq!(row.iter().map(|q| q.unsigned_abs()).max(), Some(127));
        }
    }
    assert_eq!(model.norm, int8.norm);
    refused(int8.quantize(), ErrorKind::InvalidArgument, &["int8 already"]);
}

#[test]
fn quantising_rounds_ties_to_even_and_keeps_odd_rows() {
    let mut model = model();
    let Matrix::F32 { data, .. } = &mut model.embed else { panic!() };
    let tiny = f32::from_bits(1); // scale 2^-149 / 127 rounds to zero
    let rows = [
        [254.0, 1.0, 3.0, -5.0], // scale 2: .5, 1.5, -2.5
        [0.0, -0.0, 0.0, 0.0],
        [tiny, -tiny, 0.0, tiny],
        [190.0 * tiny, -190.0 * tiny, tiny, 0.0], // scale 1.496 rounds to one of 2^-149
        [1e38, -1e38, 1e38 / 127.0, 0.0],
    ];
    data[..20].copy_from_slice(rows.as_flattened());
    let int8 = model.quantize().unwrap();
    let Matrix::I8 { data, scales, .. } = &int8.embed else { panic!() };
    let expected =
        [[127, 0, 2, -2], [0, 0, 0, 0], [0, 0, 0, 0], [127, -127, 1, 0], [127, -127, 1, 0]];
    assert_eq!(data[..20].as_chunks::<4>().0, expected);
    assert_eq!(scales[..5], [2.0, 0.0, 0.0, tiny, 1e38 / 127.0]);
    assert_eq!(Weights::from_bytes(&int8.to_safetensors()).unwrap(), int8);
    let Matrix::F32 { data, .. } = &mut model.embed else { panic!() };
    data[0] = f32::MAX;
    refused(model.quantize(), ErrorKind::InvalidArgument, &["3.4028235e38"]);
}

#[test]
fn identity_is_that_of_its_description() {
    let int8 = Weights::random(&shapes()[1], 5).quantize().unwrap();
    let config = &int8.config;
    let mut text = b"lmic model 1".to_vec();
    for size in [257, 4, 6, 2, 2, 1, 4, 16, 7, 0u64] {
        text.extend(size.to_le_bytes());
    }
    text.extend([config.rope_theta, config.rms_norm_eps].map(f64::to_le_bytes).as_flattened());
    let mut tensors = Parts::of(&int8).tensors;
    tensors.sort();
    for (name, dtype, shape, bytes) in tensors {
        text.extend((name.len() as u64).to_le_bytes());
        text.extend(name.as_bytes());
        text.extend(u64::from(dtype == "I8").to_le_bytes());
        text.extend((shape.len() as u64).to_le_bytes());
        text.extend(shape.iter().flat_map(|dim| dim.to_le_bytes()));
        text.extend(bytes);
    }
    assert_eq!(int8.identity(), *blake3::hash(&text).as_bytes());
}

#[test]
fn identity_follows_what_is_computed_and_nothing_else() {
    let identity = model().identity();
    // Written once: identities are stored in archives.
    let hex: String = identity[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, "a5cf4086310b0737");
    assert_eq!(Weights { name: "other".into(), ..model() }.identity(), identity);
    assert_eq!(Weights::random(&config(), 1).identity(), identity);
    assert_ne!(Weights::random(&config(), 2).identity(), identity);
    assert_ne!(model().quantize().unwrap().identity(), identity);
    let configs = [
        Config { max_position_embeddings: 17, ..config() },
        Config { sliding_window: Some(16), ..config() },
        Config { rope_theta: 10_001.0, ..config() },
        Config { rms_norm_eps: 1e-6, ..config() },
    ];
    for config in configs {
        assert_ne!(Weights { config, ..model() }.identity(), identity);
    }
    let mut changed = model();
    changed.norm[0] = 2.0;
    assert_ne!(changed.identity(), identity);
}

#[test]
fn names_stay_on_one_line() {
    let named = Weights { name: format!("a\n\u{1b}{}", "x".repeat(200)), ..model() };
    let read = Weights::from_bytes(&named.to_safetensors()).unwrap();
    assert_eq!(read.name, format!("a__{}", "x".repeat(97)));
}
