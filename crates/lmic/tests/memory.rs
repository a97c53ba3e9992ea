//! [`BlockModel::memory`] against what is really allocated. A binary of its own, because it counts every
//! allocation of the process; one test, so that nothing else allocates meanwhile.

use lmic::codec::{BlockModel, Content};
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// Most bytes that `work` had allocated at a time, beyond what there was before it.
fn peak_of<T>(work: impl FnOnce() -> T) -> (usize, T) {
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    let result = work();
    (ALLOCATOR.peak_usage() - before, result)
}

/// A claim may be this much too high: it would refuse few files that fit.
const SLACK: usize = 96 << 10;

fn check(model: BlockModel, data: &mut [u8]) {
    let claimed = model.memory(data.len()) as usize;
    let (encoding, code) = peak_of(|| model.encode(data));
    let mut decoded = vec![0; data.len()];
    let (decoding, ()) = peak_of(|| model.decode(&code, &mut decoded));
    assert!(decoded == data, "{model:?}");
    // The code comes on top: it doubles when it is full, and the old half lives until it is copied.
    let code = 3 * code.len() + 64;
    let case = format!("{model:?}, {} bytes: {claimed} claimed, {encoding}", data.len());
    assert!(encoding <= claimed + code, "{case} to encode");
    assert!(decoding <= claimed, "{case} to encode, {decoding} to decode");
    assert!(claimed <= decoding + SLACK, "{case} to encode, {decoding} to decode");
}

/// A mixture of order and disorder.
fn data(len: usize) -> Vec<u8> {
    let value = |i: u32| i % 253 + (i.wrapping_mul(0x9e37_79b1) >> 29);
    (0..len as u32).map(|i| value(i) as u8).collect()
}

/// Contents with parameters that decide what their models hold.
const SAMPLES: [Content; 9] = [
    Content::Gray { row: 1 },
    Content::Gray { row: 640 },
    Content::Gray { row: Content::MAX_ROW },
    Content::Rgb { row: 3 },
    Content::Rgb { row: 1920 },
    Content::Rgb { row: Content::MAX_ROW },
    Content::Pcm8 { channels: 1 },
    Content::Pcm16 { channels: 2 },
    Content::Pcm16 { channels: 8 },
];

#[test]
fn no_model_takes_more_memory_than_it_says() {
    for profile in 1..=5 {
        // Up to here the table of bytes is on the heap; from 2 MiB on it is a memory map, which no allocator
        // sees. Samples have no maps.
        for len in [1, 100, 4096, 16_384] {
            check(BlockModel { profile, content: Content::Bytes }, &mut data(len));
        }
        for content in SAMPLES {
            for len in [1, 1000, 9000] {
                check(BlockModel { profile, content }, &mut data(len));
            }
        }
    }
    for content in [Content::Rgb { row: 120_000 }, Content::Pcm16 { channels: 1 }] {
        check(BlockModel { profile: 5, content }, &mut data(150_000));
    }
}
