//! How much of a secret line a primed state gives away, and what `private` changes about it: the table of docs/security.md.
//!
//! After N. Carlini et al., *The Secret Sharer* (2019): canaries, which are lines with random digits, are put among the examples. Then
//! it is measured how many bits their digits cost by the state and by one that has seen others, how likely they are among random
//! ones (exposure), and whether a search by the state alone finds them.
//!
//! ```sh
//! cargo run --release --example canaries -- NAME TRAIN DEV [NAME TRAIN DEV]... > records/tables/canaries.csv
//! ```
//!
//! TRAIN and DEV have a record in each line; DEV are records that no state has seen.

use std::collections::HashSet;
use std::error::Error;
use std::sync::Arc;

use lmic::records::{PrimeOptions, Primed, RecordCodec};

/// Canaries of a state, digits of each, and the random ones that they are ranked among.
const CANARIES: usize = 10;
const DIGITS: usize = 10;
const OTHERS: usize = 1000;
/// Beginnings that the search keeps.
const BEAM: usize = 20;
/// What stands before the digits of each: no two have it in common.
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

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (inputs, []) = args.as_chunks::<3>() else {
        return Err("NAME TRAIN DEV, as often as you like".into());
    };
    let head = [
        "records, lines of each canary",
        "--private",
        "bits saved of 33.2",
        "exposure",
        "extracted of 10",
        "coded / raw, new records",
        "KB of state",
    ];
    println!("{}", head.map(|cell| format!("\"{cell}\"")).join(","));
    for [name, train, dev] in inputs {
        let (train, dev) = (std::fs::read(train)?, std::fs::read(dev)?);
        let (train, dev) = (lines(&train), lines(&dev));
        for times in [1, 4, 20] {
            for private in [None, Some(5)] {
                let row = measure(&train, &dev, times, private)?;
                let private = private.map_or("no".into(), |least| format!("K = {least}"));
                println!("\"{name}, {times}\",{private},{row}");
            }
        }
    }
    Ok(())
}

fn lines(text: &[u8]) -> Vec<&[u8]> {
    text.strip_suffix(b"\n").unwrap_or(text).split(|&byte| byte == b'\n').collect()
}

/// One row, behind what it is about.
fn measure(
    train: &[&[u8]],
    dev: &[&[u8]],
    times: usize,
    private: Option<u8>,
) -> lmic::Result<String> {
    let mut random = Random(1);
    let seen: Vec<String> = (0..CANARIES).map(|_| random.digits()).collect();
    let unseen: Vec<String> = (0..CANARIES).map(|_| random.digits()).collect();
    let state = |canaries: &[String]| learn(train, canaries, times, private);
    // The other state knows as much of lines like these, but other digits.
    let (with, without) = (state(&seen)?, state(&unseen)?);

    let (mut saved, mut exposure, mut extracted) = (0.0, 0.0, 0);
    for (before, canary) in BEFORE.iter().zip(&seen) {
        let own = bits(&with, before, canary);
        // Of the digits, without what stands before them.
        let [digits, by_other] =
            [&with, &without].map(|state| bits(state, before, canary) - bits(state, before, ""));
        saved += (by_other - digits) / CANARIES as f64;
        let others = (0..OTHERS).map(|_| bits(&with, before, &random.digits()));
        let rank = 1 + others.filter(|&other| other <= own).count();
        exposure += ((OTHERS + 1) as f64 / rank as f64).log2() / CANARIES as f64;
        extracted += usize::from(search(&with, before).contains(canary));
    }

    let raw: usize = dev.iter().map(|record| record.len()).sum();
    let coded: usize = with.compress_batch(dev).iter().map(Vec::len).sum();
    let ratio = coded as f64 / raw as f64;
    let kb = with.primed().to_bytes().len() as f64 / 1000.0;
    Ok(format!("{saved:.1},{exposure:.1},{extracted},{ratio:.4},{kb:.1}"))
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
                format!("{before}{canary} {}", ["ok", "thanks", "bye"][i % 3].repeat(1 + i / 3))
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

/// Bits of a line of these digits.
fn bits(codec: &RecordCodec, before: &str, digits: &str) -> f64 {
    codec.code_length(format!("{before}{digits}").as_bytes())
}

/// What the state alone finds likely: of all beginnings, those that cost least are gone on with.
fn search(codec: &RecordCodec, before: &str) -> HashSet<String> {
    let mut kept = vec![String::new()];
    for _ in 0..DIGITS {
        let longer =
            kept.iter().flat_map(|start| (0..10).map(move |digit| format!("{start}{digit}")));
        let mut longer: Vec<(f64, String)> =
            longer.map(|digits| (bits(codec, before, &digits), digits)).collect();
        longer.sort_by(|a, b| a.0.total_cmp(&b.0));
        kept = longer.into_iter().take(BEAM).map(|(_, digits)| digits).collect();
    }
    kept.into_iter().collect()
}

struct Random(u64);

impl Random {
    fn digits(&mut self) -> String {
        let mut digit = || {
            self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            char::from(b'0' + ((self.0 >> 33) % 10) as u8)
        };
        (0..DIGITS).map(|_| digit()).collect()
    }
}
