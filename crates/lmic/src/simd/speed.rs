//! How fast the kernels are, beside what the CPU can do at all, measured in the same run:
//!
//! ```sh
//! cargo test --release -p lmic --lib speed -- --ignored --nocapture --test-threads 1
//! ```

use std::{hint::black_box, time::Instant};

use super::{tests::random_f32, *};

/// Seconds of one call: the best of several runs of many calls.
pub fn seconds(mut f: impl FnMut()) -> f64 {
    let mut calls = 1;
    let mut best = f64::INFINITY;
    let mut runs = 0;
    while runs < 60 {
        let start = Instant::now();
        for _ in 0..calls {
            f();
        }
        let taken = start.elapsed().as_secs_f64();
        if taken < 2e-4 {
            calls *= 2;
        } else {
            best = best.min(taken / f64::from(calls));
            runs += 1;
        }
    }
    best
}

#[test]
#[ignore = "a measurement"]
fn gemm_speed() {
    println!("G multiply-adds per second, and percent of the peak of the same instructions");
    for level in Level::available().into_iter().rev() {
        println!("{level:?}{:>13}{:>16}{:>16}{:>16}", "R", "f32", "i8", "i16");
        let mut peak = arch::peak(level);
        for (n, k) in [(256, 256), (688, 256), (256, 688)] {
            let weights: Vec<i8> = random_f32(n * k, 1).iter().map(|x| (x * 15.0) as i8).collect();
            let floats: Vec<f32> = weights.iter().map(|&w| f32::from(w)).collect();
            let w32 = PackedF32::new(n, k, &floats);
            let (w8, w16) =
                (Linear::new(level, &weights, vec![1.0; n], k), PackedI16::new(n, k, &weights));
            for rows in [1, 2, 4, 8, 16, 64] {
                let x32 = random_f32(rows * k, 2);
                let mut x8 = Rounded::default();
                x8.round(level, &x32, k);
                let x16: Vec<i16> = x32.iter().map(|x| (x * 500.0) as i16).collect();
                let (mut y32, mut y8, mut y) =
                    (vec![0.0; rows * n], vec![0.0; rows * n], vec![0; rows * n]);
                let times = [
                    seconds(|| level.gemm_f32(black_box(&w32), black_box(&x32), &mut y32)),
                    seconds(|| black_box(&w8).apply(black_box(&x8), false, &mut y8)),
                    seconds(|| level.gemm_i16(black_box(&w16), black_box(&x16), &mut y)),
                ];
                print!("{:16}{rows:4}", format!("{n} x {k}"));
                for (time, peak) in times.iter().zip(peak) {
                    let rate = (rows * n * k) as f64 / time;
                    match peak {
                        0.0 => print!("{:9.1} {:6}", rate / 1e9, ""),
                        _ => print!("{:9.1} {:4.0} %", rate / 1e9, 100.0 * rate / peak),
                    }
                }
                println!();
            }
            // The clock may change: the peak is what the run has shown at best.
            for (peak, again) in peak.iter_mut().zip(arch::peak(level)) {
                *peak = again.max(*peak);
            }
        }
        println!("{:20}{:9.1}{:16.1}{:16.1}", "peak", peak[0] / 1e9, peak[1] / 1e9, peak[2] / 1e9);
    }
}

/// Products of recurrent networks by the largest weight, which decides how long sums of AVX2 stay in 16 bits.
#[test]
#[ignore = "a measurement"]
fn linear_speed() {
    println!("G multiply-adds per second by the largest weight");
    for level in Level::available().into_iter().rev() {
        println!("{level:?}{:>13}{:>10}{:>10}{:>10}", "R", 63, 31, 15);
        for (n, k) in [(240, 80), (416, 80), (80, 208), (256, 80)] {
            for rows in [1, 4, 8, 16, 128] {
                print!("{:16}{rows:4}", format!("{n} x {k}"));
                let mut x = Rounded::default();
                x.round(level, &random_f32(rows * k, 2), k);
                for most in [63.0, 31.0, 15.0] {
                    // As trained weights, most are much smaller than the largest of a row.
                    let numbers = random_f32(4 * n * k, 1);
                    let of_four =
                        |w: &[f32]| (w.iter().sum::<f32>() / 10.0 * most).clamp(-most, most);
                    let weights: Vec<i8> = numbers.chunks(4).map(|w| of_four(w) as i8).collect();
                    let linear = Linear::new(level, &weights, vec![1.0; n], k);
                    let mut y = vec![0.0; rows * n];
                    let time = seconds(|| black_box(&linear).apply(black_box(&x), false, &mut y));
                    print!("{:10.1}", (rows * n * k) as f64 / time / 1e9);
                }
                println!();
            }
        }
    }
}

/// What stands between the products of recurrent networks.
#[test]
#[ignore = "a measurement"]
fn gates_speed() {
    let (d, f, rows) = (80, 208, 16);
    let (x, wide) = (random_f32(rows * 3 * d, 1), random_f32(rows * 2 * f, 2));
    let bias = random_f32(d, 3);
    let weights: [f32; 256] = random_f32(256, 4).try_into().unwrap();
    for level in Level::available().into_iter().rev() {
        let mut rounded = Rounded::default();
        let (mut states, mut y) = (vec![0.0; rows * d], vec![0.0; rows * d]);
        let (mut inner, mut logits) = (vec![0.0; rows * f], random_f32(rows * 256, 5));
        let mut sums = [0; 512];
        let show = |name: &str, f: &mut dyn FnMut()| {
            print!("{name} {:.1}  ", seconds(f) * 1e9 / rows as f64);
        };
        print!("{level:?}, ns a row of {d} or {f}: ");
        show("round_norm", &mut || rounded.round_norm(level, black_box(&y), &x[..d], 1e-5));
        show("recur", &mut || {
            let streams = states.chunks_mut(d).zip(y.chunks_mut(d));
            for ((state, y), x) in streams.zip(black_box(&x).chunks(3 * d)) {
                level.recur(&bias, x, state, y);
            }
        });
        show("round", &mut || rounded.round(level, black_box(&y), d));
        show("round_gated", &mut || rounded.round_gated(level, black_box(&wide), f, &mut inner));
        show("weigh", &mut || level.weigh(black_box(&mut logits), 256));
        show("sum_tree", &mut || {
            for _ in 0..rows {
                level.sum_tree(black_box(&weights), 8_388_608.0, &mut sums);
            }
        });
        println!();
    }
}

#[test]
#[ignore = "a measurement"]
fn attention_speed() {
    let (head_dim, len) = (32, 1024);
    let rows = random_f32(len * head_dim, 1);
    for level in Level::available().into_iter().rev() {
        let mut keys = KeyCacheI8::new(head_dim, len);
        let mut values = ValueCacheI8::new(head_dim, len);
        let mut keys_f32 = KeyCacheF32::new(head_dim, len);
        let mut values_f32 = ValueCacheF32::new(head_dim, len);
        for row in rows.chunks(head_dim) {
            keys.push(level, row);
            values.push(level, row);
            keys_f32.push(row);
            values_f32.push(row);
        }
        for group in [1, 4] {
            let q: Vec<f32> = random_f32(group * head_dim, 3).iter().map(|x| x / 4.0).collect();
            let mut out = vec![0.0; q.len()];
            let mut scratch = Scratch::default();
            let span = attention::Span { len, rows: 1, window: len };
            let parts = attention::parts(level, &q, &keys, &values, &mut scratch, &mut out);
            let whole = seconds(|| {
                level.attend_i8(&q, &keys, &values, span, &mut scratch, &mut out);
            });
            let strict = seconds(|| {
                level.attend_f32(&q, &keys_f32, &values_f32, span, &mut scratch, &mut out);
            });
            let per = |time: f64| time * 1e9 / (group * len) as f64;
            let parts = parts.map(per);
            println!(
                "{level:?}, {group} heads of {head_dim}, ns per head and position at {len}: i8 {:.3} \
                 (scores {:.3}, softmax {:.3}, values {:.3}), f32 {:.3}",
                per(whole),
                parts[0],
                parts[1],
                parts[2],
                per(strict),
            );
        }
    }
}

#[test]
#[ignore = "a measurement"]
fn elementwise_speed() {
    for level in Level::available().into_iter().rev() {
        let (a, b) = (random_f32(4096, 1), random_f32(4096, 2));
        let (mut x, mut out) = (a.clone(), vec![0.0; 4096]);
        let (mut bytes, mut scale, sums) = ([0; 4096], [0.0], [7; 4096]);
        let show = |name: &str, f: &mut dyn FnMut()| {
            print!("{name} {:.3}  ", seconds(f) * 1e9 / 4096.0);
        };
        print!("{level:?}, ns per element: ");
        show("exp", &mut || level.exp(black_box(&mut x)));
        show("silu_mul", &mut || level.silu_mul(black_box(&a), &b, &mut out));
        show("rms_norm", &mut || level.rms_norm(black_box(&a), &b, 1e-5, &mut out));
        show("add", &mut || level.add(black_box(&mut x), &b));
        show("scale_row", &mut || level.scale_row(black_box(&mut x), &sums, 0.1, &b));
        show("quantize_i8", &mut || level.quantize_i8(black_box(&a), 4096, &mut bytes, &mut scale));
        show("softmax", &mut || {
            level.softmax(black_box(&mut x));
        });
        show("rope", &mut || level.rope(black_box(&mut x), &a[..16], &b[..16]));
        println!();
    }
}
