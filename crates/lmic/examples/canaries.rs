//! How much of a secret line a primed state gives away, and what `private` changes about it: the table of docs/security.md.
//!
//! After N. Carlini et al., *The Secret Sharer* (2019): canaries, which are lines with random secrets, are put among the examples. Then
//! it is measured how many bits the secrets cost by the state and by one that has seen others, how likely they are among random
//! ones (exposure), and whether a search by the state alone finds them.
//!
//! ```sh
//! cargo run --profile fast --example canaries -- NAME TRAIN DEV [NAME TRAIN DEV]... > records/tables/canaries.csv
//! ```
//!
//! TRAIN and DEV have a record in each line; DEV are records that no state has seen.

use std::collections::{HashMap, HashSet};
use std::error::Error;
use std::sync::Arc;

use lmic::records::{PrimeOptions, Primed, RecordCodec};

/// Canaries of a state, and the random secrets that each is ranked among.
const CANARIES: usize = 10;
const OTHERS: usize = 1000;
/// Beginnings that the search keeps.
const BEAM: usize = 20;
/// How many different examples must have what a private state learns.
const LEAST: u8 = 5;
/// What stands before the secret of each: no two have it in common.
const BEFORE: [&str; CANARIES] = [
    "my card number is ",
    "the safe opens with ",
    "passport of Anna: ",
    "Wi-Fi key=",
    "call me at +",
    "PIN (bank) ",
    "account no. ",
    "token \"",
    "insured under #",
    "backup code -> ",
];

/// What secrets are made of: all kinds have about as many, so that their bits can be compared.
struct Kind {
    name: &'static str,
    /// What stands at each place.
    symbols: Vec<String>,
    /// Places.
    len: usize,
}

impl Kind {
    fn all(train: &[&[u8]]) -> [Self; 3] {
        let letters = |letters: std::ops::RangeInclusive<char>| letters.map(String::from).collect();
        [
            Self { name: "10 digits", symbols: letters('0'..='9'), len: 10 }, // 33.2 bits
            Self { name: "7 letters", symbols: letters('a'..='z'), len: 7 },  // 32.9
            Self { name: "5 words", symbols: common_words(train, 100), len: 5 }, // 33.2
        ]
    }

    fn secret(&self, random: &mut Random) -> String {
        (0..self.len).map(|_| random.of(&self.symbols)).collect()
    }
}

/// The words, each with a blank behind it, that most records have: pieces that a private state keeps.
fn common_words(records: &[&[u8]], most: usize) -> Vec<String> {
    let mut counts = HashMap::new();
    for record in records {
        let words = record.split(|byte| !byte.is_ascii_lowercase());
        let words: HashSet<_> = words.filter(|word| (4..=8).contains(&word.len())).collect();
        words.into_iter().for_each(|word| *counts.entry(word).or_insert(0) += 1);
    }
    let mut words: Vec<_> = counts.into_iter().collect();
    words.sort_unstable_by_key(|&(word, count)| (std::cmp::Reverse(count), word));
    let word = |(word, _): &(&[u8], u32)| String::from_utf8_lossy(word).into_owned() + " ";
    words.iter().take(most).map(word).collect()
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (inputs, []) = args.as_chunks::<3>() else {
        return Err("NAME TRAIN DEV, as often as you like".into());
    };
    let mut head = vec!["records".into(), "secret".into(), "lines of each".into()];
    for what in ["bits saved", "exposure", "extracted of 10", "coded / raw, new records"] {
        head.extend([what.to_owned(), format!("K = {LEAST}: {what}")]);
    }
    println!("{}", head.iter().map(|cell| format!("\"{cell}\"")).collect::<Vec<_>>().join(","));
    for [name, train, dev] in inputs {
        let (train, dev) = (std::fs::read(train)?, std::fs::read(dev)?);
        let (train, dev) = (lines(&train), lines(&dev));
        for kind in Kind::all(&train) {
            for times in [1, 4, 20] {
                let [open, private] =
                    [None, Some(LEAST)].map(|k| measure(&train, &dev, &kind, times, k));
                let cells = open?.into_iter().zip(private?).map(|(a, b)| format!("{a},{b}"));
                let cells = cells.collect::<Vec<_>>().join(",");
                println!("\"{name}\",{},{times},{cells}", kind.name);
            }
        }
    }
    Ok(())
}

fn lines(text: &[u8]) -> Vec<&[u8]> {
    text.strip_suffix(b"\n").unwrap_or(text).split(|&byte| byte == b'\n').collect()
}

/// The cells of a row that are of one state.
fn measure(
    train: &[&[u8]],
    dev: &[&[u8]],
    kind: &Kind,
    times: usize,
    private: Option<u8>,
) -> lmic::Result<[String; 4]> {
    let mut random = Random(1);
    let seen: Vec<String> = (0..CANARIES).map(|_| kind.secret(&mut random)).collect();
    let unseen: Vec<String> = (0..CANARIES).map(|_| kind.secret(&mut random)).collect();
    let state = |canaries: &[String]| learn(train, canaries, times, private);
    // The other state knows as much of lines like these, but other secrets.
    let (with, without) = (state(&seen)?, state(&unseen)?);

    let (mut saved, mut exposure, mut extracted) = (0.0, 0.0, 0);
    for (before, canary) in BEFORE.iter().zip(&seen) {
        let own = bits(&with, before, canary);
        // Of the secret, without what stands before it.
        let [by_own, by_other] =
            [&with, &without].map(|state| bits(state, before, canary) - bits(state, before, ""));
        saved += (by_other - by_own) / CANARIES as f64;
        let others = (0..OTHERS).map(|_| bits(&with, before, &kind.secret(&mut random)));
        let rank = 1 + others.filter(|&other| other <= own).count();
        exposure += ((OTHERS + 1) as f64 / rank as f64).log2() / CANARIES as f64;
        extracted += usize::from(search(&with, before, kind).contains(canary));
    }

    let raw: usize = dev.iter().map(|record| record.len()).sum();
    let coded: usize = with.compress_batch(dev).iter().map(Vec::len).sum();
    let ratio = coded as f64 / raw as f64;
    Ok([
        format!("{saved:.1}"),
        format!("{exposure:.1}"),
        extracted.to_string(),
        format!("{ratio:.4}"),
    ])
}

fn learn(
    train: &[&[u8]],
    canaries: &[String],
    times: usize,
    private: Option<u8>,
) -> lmic::Result<RecordCodec> {
    // Each time in another line, as equal ones count as one.
    let lines: Vec<String> = canaries
        .iter()
        .zip(BEFORE)
        .flat_map(|(canary, before)| {
            (0..times).map(move |i| {
                format!(
                    "{before}{} {}",
                    canary.trim_end(),
                    ["ok", "thanks", "bye"][i % 3].repeat(1 + i / 3)
                )
            })
        })
        .collect();
    let mut examples = train.to_vec();
    for (i, line) in lines.iter().enumerate() {
        examples.insert(i * train.len() / lines.len(), line.as_bytes());
    }
    let options = PrimeOptions { private, ..PrimeOptions::default() };
    Ok(RecordCodec::new(Arc::new(Primed::learn(&examples, &options)?)))
}

/// Bits of a line that holds this secret.
fn bits(codec: &RecordCodec, before: &str, secret: &str) -> f64 {
    codec.code_length(format!("{before}{secret}").as_bytes())
}

/// What the state alone finds likely: of all beginnings, those that cost least are gone on with.
fn search(codec: &RecordCodec, before: &str, kind: &Kind) -> HashSet<String> {
    let mut kept = vec![String::new()];
    for _ in 0..kind.len {
        let longer =
            kept.iter().flat_map(|start| kind.symbols.iter().map(move |s| format!("{start}{s}")));
        let mut longer: Vec<(f64, String)> =
            longer.map(|secret| (bits(codec, before, &secret), secret)).collect();
        longer.sort_by(|a, b| a.0.total_cmp(&b.0));
        kept = longer.into_iter().take(BEAM).map(|(_, secret)| secret).collect();
    }
    kept.into_iter().collect()
}

struct Random(u64);

impl Random {
    fn of<'a>(&mut self, symbols: &'a [String]) -> &'a str {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        &symbols[(self.0 >> 33) as usize % symbols.len()]
    }
}
