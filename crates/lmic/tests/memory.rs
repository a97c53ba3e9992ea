//! [`BlockModel::memory`] against what is really allocated. A binary of its own, because it counts every
//! allocation of the process; one test, so that nothing else allocates meanwhile.

#![allow(unsafe_code, reason = "an allocator can be written in no other way")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use lmic::codec::{BlockModel, Content};

/// The system's allocator, counting. One thread allocates, so that plain loads and stores do.
struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

fn grow(bytes: usize) {
    let now = NOW.fetch_add(bytes, Relaxed) + bytes;
    PEAK.fetch_max(now, Relaxed);
}

// SAFETY: every call goes to the system's allocator as it came; counting touches no memory of it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grow(layout.size());
        // SAFETY: the caller's promises are those of `System`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        grow(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Most bytes that `work` had allocated at a time, beyond what there was before it.
fn peak_of<T>(work: impl FnOnce() -> T) -> (usize, T) {
    let before = NOW.load(Relaxed);
    PEAK.store(before, Relaxed);
    let result = work();
    (PEAK.load(Relaxed) - before, result)
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
