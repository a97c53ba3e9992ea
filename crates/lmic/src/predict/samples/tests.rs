//! The sample models through the real coder.

use super::{Class, Number, SampleFormat};
use crate::block::Plain;
use crate::walk::{CodeLength, walk};
use proptest::prelude::*;

fn code(model: Plain, data: &[u8]) -> Vec<u8> {
    let code = model.encode(&mut data.to_vec());
    let mut decoded = vec![0xaa; data.len()];
    model.decode(&code, &mut decoded);
    assert!(decoded == data, "{model:?} does not round trip {} bytes", data.len());
    code
}

fn coded_len(content: SampleFormat, data: &[u8]) -> usize {
    code(Plain { profile: 5, content: content.into() }, data).len()
}

/// Bytes without structure (SplitMix64).
fn noise(len: usize, seed: u64) -> Vec<u8> {
    crate::walk::sample(Uniform, len, seed)
}

struct Uniform;

impl crate::predict::Predictor for Uniform {
    fn predict(&mut self, probs: &mut [f32; 256]) {
        probs.fill(1.0);
    }

    fn update(&mut self, _byte: u8) {}
}

/// A hilly surface of `row` bytes a row.
fn hills(row: usize, rows: usize, step: usize) -> Vec<u8> {
    let height = |i: usize| {
        let (x, y, c) = (i % row / step, i / row, i % row % step);
        (x * x / 9 + x * y / 7 + 20 * c + y * 3) % 500
    };
    (0..row * rows).map(|i| height(i).abs_diff(250) as u8).collect()
}

/// A triangle wave in 16 bits.
fn wave(samples: usize) -> Vec<u8> {
    let value = |i: usize| (i * 331 % 20_000).abs_diff(10_000) as i16 - 5000;
    (0..samples).flat_map(|i| value(i).to_le_bytes()).collect()
}

fn any_content() -> impl Strategy<Value = SampleFormat> {
    prop_oneof![
        (1..90u32).prop_map(|row| SampleFormat::Gray { row }),
        (3..200u32).prop_map(|row| SampleFormat::Rgb { row }),
        (1..=8u8).prop_map(|channels| SampleFormat::Pcm8 { channels }),
        (1..=8u8).prop_map(|channels| SampleFormat::Pcm16 { channels }),
        (any::<bool>(), 3..90u32, 0..32u64, 0..16u8).prop_filter_map(
            "two bytes",
            |(colour, row, code, shift)| {
                let step = if colour { 3 } else { 1 };
                let number = Number::of_code(code).filter(|number| number.width == 2)?;
                Some(SampleFormat::Deep { row, step, number, shift })
            }
        ),
        (1..40u32, 0..4u32, any::<bool>()).prop_map(|(columns, size, big_endian)| {
            let width = 1u8 << size;
            let record = columns * u32::from(width);
            SampleFormat::Table { record, width, big_endian: big_endian && width > 1 }
        }),
        (4..90u32, prop::sample::select(vec![1, 2, 4, 8, 24, 32]))
            .prop_map(|(row, bits)| SampleFormat::Colours { row, bits }),
        (1..=8u8, 0..32u64, 0..32u8).prop_filter_map("numbers", |(channels, code, shift)| {
            let number = Number::of_code(code)?;
            Some(SampleFormat::Wave { channels, number, shift: shift % (8 * number.width) })
        }),
        prop::sample::select(vec![
            SampleFormat::Gray { row: SampleFormat::MAX_ROW },
            SampleFormat::Rgb { row: SampleFormat::MAX_ROW },
            deep(SampleFormat::MAX_ROW, 3),
            SampleFormat::Table { record: SampleFormat::MAX_RECORD, width: 8, big_endian: true },
            SampleFormat::Colours { row: SampleFormat::MAX_ROW, bits: 1 },
            SampleFormat::Colours { row: SampleFormat::MAX_ROW, bits: 32 },
        ]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn anything_round_trips_under_any_parameters(
        content in any_content(),
        profile in 1..=6u8,
        data in prop::collection::vec(
            prop_oneof![any::<u8>(), prop::sample::select(vec![0, 1, 127, 128, 255])], 0..700),
    ) {
        code(Plain { profile, content: content.into() }, &data);
    }
}

#[test]
fn extreme_samples_round_trip() {
    let contents = [
        SampleFormat::Gray { row: 16 },
        SampleFormat::Rgb { row: 48 },
        SampleFormat::Pcm8 { channels: 1 },
        SampleFormat::Pcm16 { channels: 2 },
        WIDE,
        FLOATS,
        deep(30, 1),
        deep(30, 3),
        SampleFormat::Table { record: 24, width: 8, big_endian: false },
    ];
    let flips: Vec<u8> =
        (0..9000).map(|i| if i / 2 % 2 == 0 { 0xff } else { 0x7f } ^ (i % 2 * 255) as u8).collect();
    let steps: Vec<u8> = (0..9000).map(|i| if i % 1024 < 512 { 0 } else { 255 }).collect();
    let late = [vec![0; 5000], noise(4000, 7)].concat();
    for content in contents {
        for data in [&flips, &steps, &late, &vec![0x80; 6000]] {
            code(Plain { profile: 5, content: content.into() }, data);
            code(Plain { profile: 6, content: content.into() }, data);
        }
    }
}

const WIDE: SampleFormat = SampleFormat::Wave { channels: 2, number: Number::signed(4), shift: 0 };
const FLOATS: SampleFormat = SampleFormat::Wave {
    channels: 1,
    number: Number { class: Class::Float, ..Number::signed(4) },
    shift: 0,
};

fn deep(row: u32, step: u8) -> SampleFormat {
    SampleFormat::Deep { row, step, number: Number::unsigned(2), shift: 0 }
}

#[test]
fn the_same_image_in_16_bits_is_hardly_longer() {
    let rough = noise(96 * 80, 4);
    for (step, narrow) in [(1, SampleFormat::Gray { row: 96 }), (3, SampleFormat::Rgb { row: 96 })]
    {
        let image: Vec<u8> =
            hills(96, 80, step).iter().zip(&rough).map(|(v, noise)| v / 2 + noise % 8).collect();
        let bytes = coded_len(narrow, &image);
        for (number, factor) in [("u16", 1), ("i16be", 1), ("u16be", 128), ("i16", 64)] {
            let number: Number = number.parse().unwrap();
            let mut wide = vec![0; 2 * image.len()];
            for (wide, &sample) in wide.chunks_exact_mut(2).zip(&image) {
                number.write(u32::from(sample) * factor, wide);
            }
            let format = SampleFormat::Deep { row: 96, step: step as u8, number, shift: 0 };
            let len = coded_len(format.fitted(&wide), &wide);
            assert!(len * 100 < bytes * 106, "{number} times {factor}: {len}, {bytes} as bytes");
        }
    }
}

#[test]
fn columns_of_numbers_are_shorter_as_what_they_are() {
    // A clock, a number that drifts and one of a few, in doubles; and the same in the other byte order.
    let rough = noise(900, 12);
    let rows = (0..900).map(|i| {
        let drift = (i * i % 977) as f64 / 64.0;
        [i as f64 * 0.25 + 1e6, drift, f64::from(rough[i] % 3)]
    });
    let numbers: Vec<f64> = rows.flatten().collect();
    let little: Vec<u8> = numbers.iter().flat_map(|v| v.to_le_bytes()).collect();
    let big: Vec<u8> = numbers.iter().flat_map(|v| v.to_be_bytes()).collect();
    let table = |big_endian| SampleFormat::Table { record: 24, width: 8, big_endian };
    let (as_little, as_big) = (coded_len(table(false), &little), coded_len(table(true), &big));
    assert_eq!(as_little, as_big);
    let bytes = code(Plain { profile: 5, content: crate::block::Content::Bytes }, &little).len();
    assert!(as_little * 100 < bytes * 85, "{as_little} as a table, {bytes} as bytes");
}

#[test]
fn noise_of_16_bits_is_not_large() {
    let rough = noise(16_000, 13);
    for step in [1, 3] {
        let len = coded_len(deep(60, step), &rough);
        assert!(len < rough.len() * 103 / 100, "{len}");
    }
}

#[test]
fn the_same_sound_in_other_numbers_is_hardly_longer() {
    let samples: Vec<i16> = hum(8000);
    let bytes: Vec<u8> = samples.iter().flat_map(|v| v.to_le_bytes()).collect();
    let narrow = coded_len(SampleFormat::Pcm16 { channels: 1 }, &bytes);
    let check = |number: &str, bytes: Vec<u8>| {
        let number = number.parse().unwrap();
        let format = SampleFormat::Wave { channels: 1, number, shift: 0 }.fitted(&bytes);
        let wide = coded_len(format, &bytes);
        assert!(wide * 100 < narrow * 103, "{format:?}: {wide}, {narrow} as 16 bits");
    };
    let each =
        |to: fn(i16) -> Vec<u8>| -> Vec<u8> { samples.iter().flat_map(|&v| to(v)).collect() };
    // In any order of two bytes it is the same to the model.
    for (number, bytes) in [
        ("i16be", each(|v| v.to_be_bytes().to_vec())),
        ("u16", each(|v| (v as u16 ^ 0x8000).to_le_bytes().to_vec())),
    ] {
        let number = number.parse().unwrap();
        let format = SampleFormat::Wave { channels: 1, number, shift: 0 };
        assert_eq!(coded_len(format, &bytes), narrow, "{number}");
    }
    check("i24", each(|v| (i32::from(v) << 8).to_le_bytes()[..3].to_vec()));
    check("i32be", each(|v| i32::from(v).to_be_bytes().to_vec()));
    check("f32", each(|v| (f32::from(v) / 32768.0).to_le_bytes().to_vec()));
}

#[test]
fn wide_noise_is_not_large() {
    let rough = noise(16_000, 11);
    for format in [WIDE, FLOATS] {
        let len = coded_len(format, &rough);
        // Most floats of any bits are out of range.
        assert!(len < rough.len() * 105 / 100, "{format:?}: {len}");
    }
}

#[test]
fn smooth_images_are_small_and_noise_is_not_large() {
    for (content, step) in [(SampleFormat::Gray { row: 96 }, 1), (SampleFormat::Rgb { row: 96 }, 3)]
    {
        let smooth = hills(96, 64, step);
        let rough = noise(smooth.len(), 1);
        assert!(coded_len(content, &smooth) * 5 < smooth.len());
        assert!(coded_len(content, &rough) < rough.len() * 107 / 100);
    }
}

#[test]
fn smooth_audio_is_small_and_noise_is_not_large() {
    let (content, smooth) = (SampleFormat::Pcm16 { channels: 1 }, wave(8000));
    assert!(coded_len(content, &smooth) * 5 < smooth.len());
    let rough = noise(16_000, 2);
    assert!(coded_len(content, &rough) < rough.len() * 102 / 100);
}

#[test]
fn the_channels_of_a_pair_help_each_other() {
    let mono: Vec<u8> = noise(4000, 3).into_iter().map(|v| v >> 2).collect();
    let twice: Vec<u8> = mono.iter().flat_map(|&v| [v, v]).collect();
    let alone = coded_len(SampleFormat::Pcm8 { channels: 1 }, &mono);
    // The second channel repeats the first: it should cost little beside it.
    assert!(coded_len(SampleFormat::Pcm8 { channels: 2 }, &twice) < alone * 13 / 10);
}

#[test]
fn rows_are_used() {
    let image = hills(77, 80, 1);
    let right = coded_len(SampleFormat::Gray { row: 77 }, &image);
    assert!(right * 5 < coded_len(SampleFormat::Gray { row: 50 }, &image) * 4);
}

#[test]
fn code_is_as_long_as_the_model_says() {
    let data = hills(300, 100, 3);
    let content = SampleFormat::Rgb { row: 300 };
    let mut coder = CodeLength::default();
    let mut model = super::Samples::new(5, content, data.len());
    walk(&mut model, &mut coder, &mut data.clone());
    let coded = coded_len(content, &data) as f64;
    assert!((coded - coder.bits() / 8.0).abs() < 8.0 + coded * 1e-4);
}

#[test]
fn memory_is_bounded_for_any_parameters() {
    for content in
        [SampleFormat::Rgb { row: SampleFormat::MAX_ROW }, SampleFormat::Pcm16 { channels: 8 }]
    {
        for profile in 1..=6 {
            let memory = Plain { profile, content: content.into() }.memory(usize::MAX);
            assert!((1 << 18..64 << 20).contains(&memory), "{memory}");
        }
    }
}

/// A decaying hum with a little noise, as 16-bit samples.
fn hum(samples: usize) -> Vec<i16> {
    let rough = noise(samples, 5);
    let value = |i: usize| {
        let (phase, loudness) = ((i * 17 % 211) as i32 - 105, 40 - (i % 2000 / 60) as i32);
        (phase.abs() - 52) * loudness + i32::from(rough[i] % 16)
    };
    (0..samples).map(|i| value(i) as i16).collect()
}

/// Content, data.
fn network_cases() -> [(SampleFormat, Vec<u8>); 3] {
    let wide: Vec<u8> = hum(1500).iter().flat_map(|v| v.to_le_bytes()).collect();
    let narrow: Vec<u8> = hum(1500).iter().map(|v| ((v >> 8) + 128) as u8).collect();
    [
        (SampleFormat::Gray { row: 50 }, hills(50, 40, 1)),
        (SampleFormat::Pcm8 { channels: 1 }, narrow),
        (SampleFormat::Pcm16 { channels: 2 }, wide),
    ]
}

fn short_hash(data: &[u8]) -> String {
    blake3::hash(data).to_hex()[..32].to_string()
}

#[test]
fn the_networks_are_those_of_the_specification() {
    let files: [&[u8]; 3] = [
        include_bytes!("pretrained/gray.network"),
        include_bytes!("pretrained/pcm8.network"),
        include_bytes!("pretrained/pcm16.network"),
    ];
    assert_eq!(files.map(short_hash), NETWORKS, "docs/format/samples.md, The networks");
}

#[test]
fn codes_with_networks_never_change() {
    let codes = network_cases().map(|(content, data)| {
        short_hash(&code(Plain { profile: 6, content: content.into() }, &data))
    });
    assert_eq!(codes, CODES);
}

#[test]
fn every_instruction_set_gives_the_same_code_with_networks() {
    for (content, data) in network_cases() {
        let mut codes = crate::simd::Level::available().into_iter().map(|level| {
            let mut model = super::Samples::new(6, content, data.len());
            model.use_level(level);
            crate::walk::encode_model(&mut model, &mut data.clone())
        });
        let first = codes.next().unwrap();
        assert!(codes.all(|code| code == first), "{content:?}");
        assert_eq!(first, code(Plain { profile: 6, content: content.into() }, &data));
    }
}

#[test]
fn networks_cost_little_on_what_they_were_not_trained_for() {
    // The gain on photographs and speech is measured in docs/results.md; this is neither.
    let rough = noise(2048, 9);
    let image: Vec<u8> = (0..2048)
        .map(|i| {
            let (x, y) = ((i % 64) as i32, (i / 64) as i32);
            (60 + x + y * 2 + (x * y / 16) % 9 + i32::from(rough[i] % 4)) as u8
        })
        .collect();
    let speech: Vec<u8> = hum(1024).iter().flat_map(|v| v.to_le_bytes()).collect();
    let cases =
        [(SampleFormat::Gray { row: 64 }, image), (SampleFormat::Pcm16 { channels: 1 }, speech)];
    for (content, data) in cases {
        let [without, with] =
            [5, 6].map(|profile| code(Plain { profile, content: content.into() }, &data).len());
        assert!(
            with * 100 < without * 104,
            "{content:?}: {with} with the network, {without} without"
        );
    }
}

#[test]
fn colour_is_the_same_with_and_without_networks() {
    let content = SampleFormat::Rgb { row: 96 };
    let data = hills(96, 40, 3);
    let [five, six] = [5, 6].map(|profile| code(Plain { profile, content: content.into() }, &data));
    assert_eq!(five, six);
}

#[test]
fn views_do_not_depend_on_what_comes_after() {
    let data = hills(40, 30, 1);
    let see = |data: &[u8]| {
        let mut seen = Vec::new();
        let content = SampleFormat::Gray { row: 40 };
        super::Samples::views(content, data, |view, _| seen.push((view.inputs, view.centre)));
        seen
    };
    let whole = see(&data);
    assert_eq!(see(&data[..700]), whole[..700]);
    assert_eq!(whole.len(), data.len());
}

const NETWORKS: [&str; 3] = [
    "ac1178598a7fce73f15a967785c85108",
    "103f8bbfc31c5dcdcb72538d8435480d",
    "4fdcd4efc39bd0204c8f3bade19737ca",
];

const CODES: [&str; 3] = [
    "db8cdd6632e3d5fc11ccd7e8619e6df1",
    "1939bd33d8539b6ca75d7d2489ea7e7a",
    "133dd27d6df8bee4c5150e411747966f",
];
