//! A model made and saved by transformers gives the logits here that it gives there.
//! `scripts/hf_parity.py --make-fixture` wrote the files.

use std::path::Path;

use lmic::nn::{Precision, Stream, Transformer, Weights, Workspace};
use serde_json::Value;

/// Logits reach 10 and are stored to six digits after the point; both sides sum in an order of their own.
const TOLERANCE: f64 = 1e-4;

#[test]
fn a_model_saved_by_transformers_gives_the_same_logits() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/hugging_face");
    let expected = std::fs::read(folder.join("logits.json")).unwrap();
    let expected: Value = serde_json::from_slice(&expected).unwrap();
    let symbols: Vec<u16> = numbers(&expected["symbols"]).map(|symbol| symbol as u16).collect();

    let weights = Weights::load(&folder).unwrap();
    assert_eq!((&*weights.name, weights.precision()), ("hugging_face", Precision::F32));
    let model = Transformer::new(&weights).unwrap();
    let (mut cache, mut work) = (model.cache(), Workspace::default());
    let stream = Stream { cache: &mut cache, symbols: &symbols, wanted: symbols.len() };
    let logits = model.forward(&mut [stream], &mut work); // (symbols, 256)

    let rows = expected["logits"].as_object().unwrap();
    assert!(rows.len() >= 3);
    for (position, row) in rows {
        let ours = &logits[256 * position.parse::<usize>().unwrap()..][..256];
        let worst = ours
            .iter()
            .zip(numbers(row))
            .fold(0.0_f64, |w, (&x, y)| w.max((f64::from(x) - y).abs()));
        assert!(worst < TOLERANCE, "position {position}: a logit is off by {worst}");
        assert_eq!(row.as_array().unwrap().len(), 256);
    }
}

fn numbers(array: &Value) -> impl Iterator<Item = f64> {
    array.as_array().unwrap().iter().map(|number| number.as_f64().unwrap())
}
