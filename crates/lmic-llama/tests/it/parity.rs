//! The same numbers as transformers.

use lmic::exact::Level;
use lmic_llama::{Llama, ScoreOptions};

use crate::support::{FILES, FOLDERS, open, path, reference};

/// Most of a difference comes from angles of rotary positions, which transformers computes in f32.
const TOLERANCE: f64 = 1e-3;

fn all() -> impl Iterator<Item = &'static str> {
    FOLDERS.into_iter().chain(FILES)
}

#[test]
fn logits_are_those_of_transformers() {
    for name in all() {
        let (model, reference) = (open(name), reference(name));
        let logits = model.logits(&reference.tokens, 1);
        let vocab = logits.len() / reference.tokens.len();
        let mut worst = 0.0f64;
        for (row, expected) in &reference.logits {
            assert_eq!(expected.len(), vocab, "{name}");
            for (ours, theirs) in logits[row * vocab..][..vocab].iter().zip(expected) {
                worst = worst.max((f64::from(*ours) - theirs).abs());
            }
        }
        println!("{name}: {worst:.2e}");
        assert!(worst < TOLERANCE, "{name}: logits differ by {worst}");
    }
}

/// Rows of K-quants are 256 wide: too large to be committed.
#[test]
#[ignore = "needs $LMIC_LLAMA_WIDE, a folder by scripts/llama_fixtures.py --wide"]
fn k_quants_are_those_of_transformers() {
    let folder = std::env::var("LMIC_LLAMA_WIDE").expect("the folder");
    let name = format!("{folder}/qwen3-k.gguf");
    let (model, reference) = (open(&name), reference(&name));
    let logits = model.logits(&reference.tokens, 2);
    let vocab = logits.len() / reference.tokens.len();
    for (row, expected) in &reference.logits {
        for (ours, theirs) in logits[row * vocab..].iter().zip(expected) {
            assert!((f64::from(*ours) - theirs).abs() < TOLERANCE, "{ours}, not {theirs}");
        }
    }
}

/// As the first files of it have it.
#[test]
fn a_gguf_file_of_gemma_2_without_caps_has_the_usual_ones() {
    let file = std::fs::read(path("gemma2-q8_0.gguf")).unwrap();
    let (mut without, mut said) = (file.clone(), file);
    for (name, usual) in [("attn_logit_softcapping", 50f32), ("final_logit_softcapping", 30.0)] {
        let at = said.windows(name.len()).position(|part| part == name.as_bytes()).unwrap();
        // Behind the name its type, then the number.
        said[at + name.len() + 4..][..4].copy_from_slice(&usual.to_le_bytes());
        without[at] = b'x';
    }
    let [without, said] = [without, said].map(|file| Llama::from_gguf(file).unwrap());
    assert_eq!(without.identity_hex(), said.identity_hex());
    assert_ne!(said.identity_hex(), open("gemma2-q8_0.gguf").identity_hex());
}

/// Which takes its vocabulary's scores, not a list of merges.
#[test]
#[ignore = "needs $LMIC_LLAMA_WIDE, a folder by scripts/llama_fixtures.py --wide"]
fn vocabularies_of_sentencepiece_cut_text_as_it_does() {
    let folder = std::env::var("LMIC_LLAMA_WIDE").expect("the folder");
    let model = open(&format!("{folder}/sentencepiece.gguf"));
    let text = std::fs::read_to_string(format!("{folder}/sentencepiece.json")).unwrap();
    let texts: Vec<(String, Vec<u32>)> = serde_json::from_str(&text).unwrap();
    let differ: Vec<&String> = texts
        .iter()
        .filter(|(text, tokens)| model.tokens(text.as_bytes()) != *tokens)
        .map(|(text, _)| text)
        .collect();
    assert!(differ.is_empty(), "{} of {}: {differ:?}", differ.len(), texts.len());
}

#[test]
fn tokens_are_those_of_the_tokenizer() {
    for name in all() {
        let (model, reference) = (open(name), reference(name));
        let tokens = model.tokens(reference.text.as_bytes());
        assert_eq!(tokens, reference.tokens[1..], "{name}");
    }
}

#[test]
fn scores_are_those_of_transformers_within_a_thousandth() {
    for name in all() {
        let (model, reference) = (open(name), reference(name));
        let options = ScoreOptions { chunk: 1 << 20, ..ScoreOptions::default() };
        let score = model.score(reference.text.as_bytes(), &options, &Default::default());
        let off = score.bits / reference.bits - 1.0;
        assert!(off.abs() < 1e-3, "{name}: {} bits, not {}", score.bits, reference.bits);
        assert_eq!(score.tokens, reference.tokens.len() as u64 - 1);
    }
}

#[test]
fn no_level_number_of_threads_or_batch_changes_a_bit() {
    for name in all() {
        let tokens = reference(name).tokens;
        let bits = |logits: Vec<f32>| logits.into_iter().map(f32::to_bits).collect::<Vec<_>>();
        let expected = bits(open(name).logits(&tokens, 1));
        for level in Level::available() {
            let model = Llama::open_at(&path(name), level).unwrap();
            for threads in [1, 2, 5] {
                assert_eq!(bits(model.logits(&tokens, threads)), expected, "{name} {level:?}");
            }
            // A prefix is computed in another batch, and so are single tokens.
            let part = bits(model.logits(&tokens[..3], 1));
            assert_eq!(part, expected[..part.len()], "{name} {level:?}");
            assert_eq!(bits(model.logits_one_by_one(&tokens, 2)), expected, "{name} {level:?}");
        }
    }
}
