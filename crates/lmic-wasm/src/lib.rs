//! lmic as a WebAssembly module, in a page or in Node, without glue: `scripts/wasm_check.mjs` is an example.
//!
//! JavaScript writes bytes to `lmic_input(len)` in the module's memory and calls a function, which returns 0 or, after an error, 1.
//! Then `lmic_output_len()` bytes at `lmic_output()` are what came out, or the message of the error in UTF-8. The memory may have
//! grown, so views of it are made anew after each call.

#![allow(unsafe_code, reason = "names that others call")]

use std::mem::take;
use std::sync::{Arc, Mutex, MutexGuard};

use lmic::block::Models;
use lmic::nn::{AnyWeights, Network};
use lmic::records::Primed;
use lmic::{DecodeOptions, EncodeOptions, compress_with, decompress_with};

static STATE: Mutex<State> = Mutex::new(State {
    input: Vec::new(),
    output: Vec::new(),
    networks: Vec::new(),
    states: Vec::new(),
});

struct State {
    input: Vec<u8>,
    output: Vec<u8>,
    networks: Vec<Network>,
    states: Vec<Arc<Primed>>,
}

fn state() -> MutexGuard<'static, State> {
    STATE.lock().expect("a panic ends the module")
}

/// Calls `work` with the input, which is gone then.
fn run(work: impl FnOnce(&mut State, Vec<u8>) -> lmic::Result<Vec<u8>>) -> u32 {
    let mut state = state();
    let input = take(&mut state.input);
    let result = work(&mut state, input);
    let failed = result.is_err();
    state.output = result.unwrap_or_else(|error| error.to_string().into_bytes());
    u32::from(failed)
}

/// Where to write the next input, of `len` bytes.
#[unsafe(no_mangle)]
pub extern "C" fn lmic_input(len: usize) -> *mut u8 {
    let mut state = state();
    state.input = vec![0; len];
    state.input.as_mut_ptr()
}

/// Where the last output stands.
#[unsafe(no_mangle)]
pub extern "C" fn lmic_output() -> *const u8 {
    state().output.as_ptr()
}

/// Bytes of the last output.
#[unsafe(no_mangle)]
pub extern "C" fn lmic_output_len() -> usize {
    state().output.len()
}

/// Compresses the input at a level, 1 to 8; 9 if its network has been added.
#[unsafe(no_mangle)]
pub extern "C" fn lmic_compress(level: u8) -> u32 {
    run(|state, input| {
        let models = Models::of(state.networks.clone());
        compress_with(&input, &EncodeOptions { level, models, ..EncodeOptions::default() })
    })
}

/// Restores what an archive holds.
#[unsafe(no_mangle)]
pub extern "C" fn lmic_decompress() -> u32 {
    run(|state, input| {
        let states = state.states.clone();
        let models = Models::of(state.networks.clone()).with_primed(move |wanted| {
            Ok(states.iter().find(|state| state.identity() == wanted.identity).cloned())
        });
        decompress_with(&input, &DecodeOptions { models, ..DecodeOptions::default() })
    })
}

/// Takes the input as the file of a network or of a primed state, for archives that need it.
#[unsafe(no_mangle)]
pub extern "C" fn lmic_add_model() -> u32 {
    run(|state, input| {
        match Primed::from_bytes(&input) {
            Ok(primed) => state.states.push(Arc::new(primed)),
            Err(_) => state.networks.push(Network::new(&AnyWeights::from_bytes(&input)?)?),
        }
        Ok(Vec::new())
    })
}
