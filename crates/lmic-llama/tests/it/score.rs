//! What tokens and bytes cost, and text that goes on.

use lmic::draw::Choice;
use lmic::progress::Progress;
use lmic_llama::ScoreOptions;

use crate::support::{FILES, FOLDERS, open, reference};

#[test]
fn tokens_and_bytes_add_up_to_the_score() {
    let progress = Progress::default();
    for name in FOLDERS.into_iter().chain(FILES) {
        let model = open(name);
        let mut data = reference(name).text.into_bytes();
        data.extend(b"\xff\x00 \xe4"); // what no token stands for, in some
        for chunk in [37, 64 << 10] {
            let options = ScoreOptions { chunk, ..ScoreOptions::default() };
            let score = model.score(&data, &options, &progress);
            let tokens = model.token_costs(&data, &options, &progress);
            assert_eq!(tokens.len() as u64, score.tokens, "{name}");
            assert_eq!(tokens.iter().map(|token| token.len).sum::<usize>(), data.len(), "{name}");
            let bits: f64 = tokens.iter().map(|token| token.bits).sum();
            assert!((bits - score.bits).abs() < 1e-6, "{name}: {bits} {}", score.bits);
            let bytes = model.byte_costs(&data, &options, &progress);
            assert_eq!(bytes.len(), data.len(), "{name}");
            assert!((bytes.iter().sum::<f64>() - bits).abs() < 1e-6, "{name}");
        }
    }
}

#[test]
fn greedy_takes_the_likeliest_token_and_a_seed_the_same_text() {
    let progress = Progress::default();
    for name in FOLDERS.into_iter().chain(FILES) {
        let model = open(name);
        let reference = reference(name);
        let text = &reference.text;
        let greedy = Choice { greedy: true, ..Choice::default() };
        let made = model.generate(text.as_bytes(), 1, greedy, 1, &progress).unwrap();
        let logits = model.logits(&reference.tokens, 1);
        let last = &logits[logits.len() / reference.tokens.len() * (reference.tokens.len() - 1)..];
        // What each token stands for, behind another one: the first may have a space before it.
        let one = &reference.tokens[1..2];
        let before = model.bytes(one).unwrap().len();
        let piece = |token: usize| Some(model.bytes(&[one[0], token as u32])?[before..].to_vec());
        let likeliest = (0..last.len()).filter(|&token| piece(token).is_some());
        let likeliest = likeliest.max_by(|&a, &b| last[a].total_cmp(&last[b])).unwrap();
        assert_eq!(made[0], piece(likeliest).unwrap()[0], "{name}");
        for prompt in [b"" as &[u8], b"a b", &b"long ".repeat(400)] {
            let drawn = |seed| {
                let choice = Choice { seed, ..Choice::default() };
                model.generate(prompt, 700, choice, 1, &progress).unwrap()
            };
            assert_eq!(drawn(1).len(), 700, "{name}");
            assert!(drawn(1) == drawn(1) && drawn(1) != drawn(2), "{name}");
        }
    }
}
