//! Any bytes as a model file, and any changes to one: errors or a model that comes back as it was read.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use lmic::nn::{AnyWeights, Config, Network, RecurrentConfig, RecurrentWeights, Weights};

/// Small models of both kinds and precisions, to be changed.
static MODELS: LazyLock<[Vec<u8>; 4]> = LazyLock::new(|| {
    let json = r#"{"model_type":"llama","vocab_size":257,"hidden_size":2,"intermediate_size":1,
        "num_hidden_layers":1,"num_attention_heads":1,"head_dim":4,"max_position_embeddings":8,
        "rms_norm_eps":1e-5,"tie_word_embeddings":true}"#;
    let plain = Weights::random(&Config::from_json(json).expect("own config"), 1);
    let json = r#"{"model_type":"lmic_recurrent","mixer":"gru","hidden_size":16,"layers":1,"intermediate_size":16,
        "taps":2,"ngrams":[2,0],"ngram_bits":[4,5],"ngram_size":8}"#;
    let recurrent =
        RecurrentWeights::random(&RecurrentConfig::from_json(json).expect("own config"), 1);
    [
        plain.to_safetensors(),
        plain.quantize().expect("it is f32").to_safetensors(),
        recurrent.to_safetensors(),
        recurrent.quantize().expect("it is f32").to_safetensors(),
    ]
});

/// Largest model that is made ready to predict.
const MAX_LEN: u64 = 1 << 20;

fn check(file: &[u8]) {
    let Ok(weights) = AnyWeights::from_bytes(file) else { return };
    let again = AnyWeights::from_bytes(&weights.to_safetensors()).expect("own file");
    assert_eq!(again.to_safetensors(), weights.to_safetensors());
    assert_eq!(again.identity(), weights.identity());
    let _ = weights.quantize();
    if weights.byte_len() <= MAX_LEN {
        let _ = Network::new(&weights);
    }
}

// Input: any bytes for a file; and repeated [place, 2 bytes][byte] to change a model at.
fuzz_target!(|data: &[u8]| {
    check(data);
    let header = [&(data.len() as u64).to_le_bytes(), data].concat();
    check(&header);
    if let Ok(json) = std::str::from_utf8(data)
        && let Ok(config) = Config::from_json(json)
    {
        assert_eq!(Config::from_json(&config.to_json()).expect("own config"), config);
    }
    if let Ok(json) = std::str::from_utf8(data)
        && let Ok(config) = RecurrentConfig::from_json(json)
    {
        assert_eq!(RecurrentConfig::from_json(&config.to_json()).expect("own config"), config);
    }
    for model in MODELS.iter() {
        let mut file = model.clone();
        for change in data.as_chunks::<3>().0.iter().take(8) {
            let place = usize::from(u16::from_le_bytes([change[0], change[1]]));
            let len = file.len();
            file[place % len] = change[2];
        }
        check(&file);
    }
});
