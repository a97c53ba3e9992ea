//! What the targets ask of a model that was opened.

use lmic::nn::{TokenModel, Windows};
use lmic_llama::Llama;

/// Larger ones are computed too slowly.
const MAX_PARAMS: u64 = 100_000;

/// Bytes come back from tokens and from a code; any code is decoded to something, or refused.
pub fn check(model: &Llama, data: &[u8]) {
    assert_eq!(model.bytes(&model.tokens(data)).as_deref(), Some(data));
    if model.params() > MAX_PARAMS || data.is_empty() {
        return;
    }
    let windows = Windows { context: 8.min(model.context() as u32), overlap: 1, lanes: 2 };
    let code = model.encode(windows, 1, data, &Default::default());
    let mut out = vec![0; data.len()];
    model.decode(windows, 1, &code, &mut out, &Default::default()).expect("own code");
    assert_eq!(out, data);
    let _ = model.decode(windows, 1, data, &mut out, &Default::default());
}
