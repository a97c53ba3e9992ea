/// SplitMix64: the same numbers for a seed, for ever.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ z >> 31
    }

    /// One of 0 to `n` - 1.
    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    /// 0 to 32 KiB of something, short ones as often as long ones. No two are equal but for the shortest.
    pub fn content(&mut self) -> Vec<u8> {
        let bits = self.below(12) + 4;
        let len = self.below(1 << bits);
        let mut content = format!("{:016x} ", self.next()).into_bytes();
        while content.len() < len {
            let word = ["to ", "be ", "or ", "not ", "that ", "is ", "the ", "question\n"];
            match self.below(40) {
                0 => content.extend(self.next().to_le_bytes()),
                n => content.extend_from_slice(word[n % 8].as_bytes()),
            }
        }
        if self.chance(3) {
            content.clear();
        }
        content
    }
}
