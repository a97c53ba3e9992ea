//! Bytes to tokens and back, whatever the bytes.

use std::sync::LazyLock;

use lmic_llama::Llama;
use proptest::prelude::*;

use crate::support::open;

static MODELS: LazyLock<Vec<Llama>> =
    LazyLock::new(|| ["llama", "mistral", "gemma3", "llama-linear-bf16.gguf"].map(open).into());

fn check(data: &[u8]) {
    for model in &*MODELS {
        let tokens = model.tokens(data);
        assert_eq!(model.bytes(&tokens).as_deref(), Some(data), "{tokens:?}");
        assert!(tokens.len() <= data.len() + 1, "{} tokens of {} bytes", tokens.len(), data.len());
    }
}

/// What tokenizers treat in ways of their own.
const LOOKALIKES: [&str; 16] = [
    "<s>",
    "</s>",
    "<unk>",
    "<0x0A>",
    "<0x41>",
    "<|begin_of_text|>",
    "<|end_of_text|>",
    "▁",
    " ▁ ",
    "Ġthe",
    "Ċ",
    "\u{feff}",
    "\r\n",
    "e\u{301}",
    "  ",
    "\0",
];

#[test]
fn lookalikes_of_special_tokens_are_text() {
    check(b"");
    for a in LOOKALIKES {
        check(a.as_bytes());
        for b in LOOKALIKES {
            check(format!("{a}{b}").as_bytes());
            check(format!("x {a} {b}\n{a}").as_bytes());
        }
        let whole = format!("the {a}{a}");
        (0..whole.len()).for_each(|cut| check(&whole.as_bytes()[cut..]));
    }
    let model = &MODELS[0];
    assert!(model.tokens(b"<|begin_of_text|>").len() > 1, "a special token out of the data");
}

#[test]
fn every_byte_and_pair_of_bytes_comes_back() {
    for a in 0..=255u8 {
        check(&[a]);
        check(&[b'x', a, b' ', a, a]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_come_back(data in prop::collection::vec(any::<u8>(), 0..300)) {
        check(&data);
    }

    #[test]
    fn any_text_comes_back(text in ".{0,80}", at in 0usize..16) {
        check(text.as_bytes());
        check(format!("{text}{}{text}", LOOKALIKES[at]).as_bytes());
    }

    #[test]
    fn text_of_few_letters_comes_back(text in "[ \\n▁a-d<>0x|_é\u{301}]{0,60}") {
        check(text.as_bytes());
    }
}
