//! Any bytes as a primed state, as the code of a record and as lines in an archive, and changes to good ones: errors or
//! bytes, never a panic.
#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use lmic::block::Models;
use lmic::records::{PrimeOptions, Primed, RecordCodec};
use lmic::{DecodeOptions, EncodeOptions, compress_with, decompress_with};

static STATE: LazyLock<Arc<Primed>> = LazyLock::new(|| {
    let samples: Vec<String> = (0..50).map(|i| format!("user{} took {} ms", i * 7 % 10, i * i)).collect();
    let samples: Vec<&[u8]> = samples.iter().map(String::as_bytes).collect();
    let options = PrimeOptions { table_bits: Some(10), ..PrimeOptions::default() };
    Arc::new(Primed::learn(&samples, &options).expect("these can be learned"))
});
static FILE: LazyLock<Vec<u8>> = LazyLock::new(|| STATE.to_bytes());

/// Longest record that is decoded.
const MAX_LEN: usize = 4096;

fn codec(primed: Arc<Primed>) -> RecordCodec {
    RecordCodec::new(primed).with_max_len(MAX_LEN)
}

/// `data` as places and bytes to change `file` at.
fn changed(file: &[u8], data: &[u8]) -> Vec<u8> {
    let mut file = file.to_vec();
    for change in data.as_chunks::<3>().0.iter().take(6) {
        let place = usize::from(u16::from_le_bytes([change[0], change[1]])) % file.len();
        file[place] ^= change[2];
    }
    file
}

fuzz_target!(|data: &[u8]| {
    let _ = Primed::from_bytes(data);
    if let Ok(primed) = Primed::from_bytes(&changed(&FILE, data)) {
        let _ = codec(Arc::new(primed)).decompress(data);
    }
    let codec = codec(Arc::clone(&STATE));
    let _ = codec.decompress(data);
    if data.len() <= MAX_LEN {
        assert_eq!(codec.decompress(&codec.compress(data)).expect("own code"), data);
    }
    // Lines, each alone, or bytes beside context mixing.
    let options = EncodeOptions {
        level: 5,
        primed: Some(("state".into(), Arc::clone(&STATE))),
        records: data.first().is_none_or(|byte| byte & 1 == 0),
        block_size: Some(lmic::MIN_BLOCK_SIZE),
        threads: 1,
        ..EncodeOptions::default()
    };
    let models = || Models::default().with_primed(|_| Ok(Some(Arc::clone(&STATE))));
    let decode = || DecodeOptions { threads: 1, memory_limit: Some(64 << 20), models: models() };
    let archive = compress_with(data, &options).expect("nothing here may fail");
    assert!(decompress_with(&archive, &decode()).expect("own archive") == data);
    let _ = decompress_with(&changed(&archive, data), &decode());
});
