//! Distributions over any number of symbols: tokens.

use super::Distribution;

/// Bits of the total of [`Symbols`]. With 2^18 symbols, to give each an interval costs at most 2^-12 of the
/// probability, 3.5e-4 bits a symbol.
pub const SYMBOL_BITS: u32 = 30; // frozen

const TOTAL: u32 = 1 << SYMBOL_BITS; // frozen

/// Sizes of the intervals of some symbols: valid by construction. The memory is kept from one distribution to the next.
#[derive(Debug, Clone)]
pub struct Symbols {
    sizes: Vec<u32>,
}

impl Default for Symbols {
    /// The distribution of an alphabet of one symbol, which is certain.
    fn default() -> Self {
        Self { sizes: vec![TOTAL] }
    }
}

impl Symbols {
    /// Becomes the distribution of weights that need not be normalised, with `others` symbols behind them that have the least
    /// probability. Weights that are negative, NaN or infinite count as 0; if nothing is left, all symbols are alike.
    ///
    /// # Panics
    /// If there is no symbol, or 2^19 of them and more.
    pub fn quantize(&mut self, weights: &[f32], others: usize) {
        let symbols = weights.len() + others;
        assert!((1..1 << 19).contains(&symbols), "{symbols} symbols");
        let symbols = symbols as u32;
        // Sums of f64 in 16 columns, then in order: the same everywhere.
        let weight = |w: f32| if w > 0.0 && w.is_finite() { f64::from(w) } else { 0.0 };
        let mut columns = [0.0f64; 16];
        for chunk in weights.chunks(16) {
            for (column, w) in columns.iter_mut().zip(chunk) {
                *column += weight(*w);
            }
        }
        let total: f64 = columns.iter().sum();
        // Never an excess: 2^19 roundings make the sum of the products less than one unit too large, and they are rounded down.
        let scale = if total > 0.0 { f64::from(TOTAL - symbols) / total } else { 0.0 };
        let sizes = &mut self.sizes;
        sizes.clear();
        sizes.extend(weights.iter().map(|w| 1 + (weight(*w) * scale) as u32));
        sizes.resize(symbols as usize, 1);
        let left = TOTAL - sizes.iter().sum::<u32>();
        if total > 0.0 {
            // The likeliest takes what rounding left, where it changes the code length least.
            let top =
                (0..sizes.len()).fold(0, |top, i| if sizes[i] > sizes[top] { i } else { top });
            sizes[top] += left;
        } else {
            let each = left / symbols;
            sizes.iter_mut().for_each(|size| *size += each);
            sizes[0] += left - each * symbols;
        }
    }

    /// Sizes of the intervals, out of `2^SYMBOL_BITS`.
    pub fn sizes(&self) -> &[u32] {
        &self.sizes
    }
}

impl Distribution for Symbols {
    const BITS: u32 = SYMBOL_BITS;

    fn symbols(&self) -> usize {
        self.sizes.len()
    }

    fn interval(&self, symbol: usize) -> (u32, u32) {
        (self.sizes[..symbol].iter().sum(), self.sizes[symbol])
    }

    fn size(&self, symbol: usize) -> u32 {
        self.sizes[symbol]
    }

    fn symbol_at(&self, target: u32) -> usize {
        // Sums of whole blocks are quicker than a step for each symbol.
        const BLOCK: usize = 64; // tunable
        let (mut start, mut symbol) = (0, 0);
        for block in self.sizes.chunks(BLOCK) {
            let sum: u32 = block.iter().sum();
            if target - start < sum {
                break;
            }
            start += sum;
            symbol += block.len();
        }
        for size in self.sizes[symbol..].iter().take(BLOCK) {
            if target - start < *size {
                break;
            }
            start += size;
            symbol += 1;
        }
        symbol.min(self.sizes.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(weights: &[f32], others: usize) -> Symbols {
        let mut symbols = Symbols::default();
        symbols.quantize(weights, others);
        assert_eq!(symbols.symbols(), weights.len() + others);
        assert!(symbols.sizes().iter().all(|&size| size > 0));
        assert_eq!(symbols.sizes().iter().map(|&s| u64::from(s)).sum::<u64>(), 1 << SYMBOL_BITS);
        for symbol in (0..symbols.symbols()).step_by(1 + symbols.symbols() / 100) {
            let (start, size) = symbols.interval(symbol);
            assert_eq!(symbols.symbol_at(start), symbol);
            assert_eq!(symbols.symbol_at(start + size - 1), symbol);
        }
        assert_eq!(symbols.symbol_at(TOTAL), symbols.symbols() - 1);
        symbols
    }

    #[test]
    fn intervals_fill_the_total_whatever_the_weights() {
        check(&[0.0; 2], 1);
        check(&[1.0], 0);
        check(&vec![0.0; (1 << 19) - 2], 1);
        check(&[f32::NAN; 5], 1);
        check(&[f32::NEG_INFINITY, f32::INFINITY, 3.0], 0);
        let wild: Vec<f32> =
            (0..300_000u32).map(|i| f32::from_bits(i.wrapping_mul(14_321))).collect();
        check(&wild, 1);
        let mut sure = vec![0.0; 1000];
        sure[7] = 1.0;
        assert_eq!(check(&sure, 1).sizes()[7], TOTAL - 1000);
    }

    #[test]
    #[should_panic(expected = "0 symbols")]
    fn no_symbols_are_refused() {
        Symbols::default().quantize(&[], 0);
    }

    /// At 2 bits a token, 0.1 % are 0.002 bits.
    #[test]
    fn quantisation_costs_little_with_the_largest_vocabulary() {
        let weights: Vec<f32> = (0..1 << 18).map(|i| ((1 + i) as f32).powf(-1.5)).collect();
        let symbols = check(&weights, 1);
        let total: f64 = weights.iter().map(|&w| f64::from(w)).sum();
        let loss = weights.iter().zip(symbols.sizes()).map(|(&w, &size)| {
            let p = f64::from(w) / total;
            p * (p.log2() - (f64::from(size) / f64::from(TOTAL)).log2())
        });
        let loss: f64 = loss.sum();
        assert!(loss < 4e-4, "{loss} bits a token");
    }
}
