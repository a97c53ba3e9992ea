//! Rows of a mixer, one number at a time.

pub fn dot_rows<const S: usize, const W: usize>(
    weights: &[i16],
    rows: &[usize; S],
    x: &[i16; W],
) -> [i32; S] {
    rows.map(|row| {
        let products = weights[row..row + W].iter().zip(x);
        products.fold(0i32, |sum, (&w, &x)| sum.wrapping_add(i32::from(w) * i32::from(x)))
    })
}

pub fn train_rows<const S: usize, const W: usize>(
    weights: &mut [i16],
    rows: &[usize; S],
    x: &[i16; W],
    steps: &[i16; S],
) {
    for (&row, &step) in rows.iter().zip(steps) {
        for (w, &x) in weights[row..row + W].iter_mut().zip(x) {
            // As the vector instruction: 31 bits of product, rounded at bit 15, kept to 16 bits.
            let delta = (i32::from(x) * i32::from(step) + (1 << 14)) >> 15;
            *w = w.saturating_add(delta as i16);
        }
    }
}
