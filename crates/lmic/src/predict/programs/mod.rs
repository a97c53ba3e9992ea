//! Programs: branches and addresses made absolute, and contexts that know instructions.
//!
//! A call says how far away what it calls is, so two calls of one function have other bytes. [`absolute`] puts the place in the
//! block in place of the distance, and they have the same ones. It is a bijection on blocks of any content, which needs no list of
//! exceptions, and [`relative`] is its inverse. [`Code`] then shows context mixing the instructions that bytes belong to.

mod arm64;
mod x86;

/// Contexts that are made of instructions.
pub(crate) const CONTEXTS: usize = 7; // frozen

/// Distances of x86 that are made absolute have so many bits, counted modulo that power of two.
const DISTANCE_BITS: u32 = 25; // frozen

/// A machine whose instructions are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Machine {
    /// x86 in 64-bit mode.
    X64,
    /// x86 in 32-bit mode.
    X86,
    /// AArch64, little-endian.
    Arm64,
}

impl Machine {
    const ALL: [Self; 3] = [Self::X64, Self::X86, Self::Arm64]; // frozen

    /// The number of the machine in a file, from 1.
    pub(crate) fn number(self) -> u64 {
        1 + self as u64
    }

    /// The machine of a number.
    pub(crate) fn of_number(number: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|machine| machine.number() == number)
    }

    /// Bytes of the shortest instruction.
    pub(crate) fn unit(self) -> usize {
        match self {
            Self::X64 | Self::X86 => 1,
            Self::Arm64 => 4,
        }
    }
}

/// Makes distances in a block's content absolute.
pub(crate) fn absolute(machine: Machine, data: &mut [u8]) {
    match machine {
        Machine::X64 | Machine::X86 => distances(machine, data, |bytes, end| {
            moved(u32::from_le_bytes(bytes), end).to_be_bytes()
        }),
        Machine::Arm64 => {
            words(data, |bytes, at| arm64::absolute(u32::from_le_bytes(bytes), at).to_be_bytes())
        }
    }
}

/// The inverse of [`absolute`].
pub(crate) fn relative(machine: Machine, data: &mut [u8]) {
    match machine {
        Machine::X64 | Machine::X86 => distances(machine, data, |bytes, end| {
            moved(u32::from_be_bytes(bytes), end.wrapping_neg()).to_le_bytes()
        }),
        Machine::Arm64 => {
            words(data, |bytes, at| arm64::relative(u32::from_be_bytes(bytes), at).to_le_bytes())
        }
    }
}

/// A distance moved by a place, if it is one of [`DISTANCE_BITS`]: it stays one of them, so the way back is known.
fn moved(distance: u32, place: u32) -> u32 {
    const UNUSED: u32 = 32 - DISTANCE_BITS; // frozen
    let narrow = |value: u32| ((value << UNUSED).cast_signed() >> UNUSED).cast_unsigned();
    if narrow(distance) == distance { narrow(distance.wrapping_add(place)) } else { distance }
}

/// Replaces all distances in a program of x86; `new` is told four bytes and where their instruction ends.
fn distances(machine: Machine, data: &mut [u8], new: impl Fn([u8; 4], u32) -> [u8; 4]) {
    let mut decoder = x86::Decoder::new(machine == Machine::X64);
    let mut at = 0;
    while at < data.len() {
        let distance = decoder.distance();
        if let (Some(behind), Some(bytes)) = (distance, data[at..].first_chunk_mut()) {
            *bytes = new(*bytes, at as u32 + 4 + behind);
            // What a distance is changes nothing of what follows.
            (0..4).for_each(|_| decoder.push(0));
            at += 4;
        } else {
            decoder.push(data[at]);
            at += 1;
        }
    }
}

/// Replaces all whole words; `new` is told one and its place.
fn words(data: &mut [u8], new: impl Fn([u8; 4], u32) -> [u8; 4]) {
    for (i, word) in data.as_chunks_mut().0.iter_mut().enumerate() {
        *word = new(*word, 4 * i as u32);
    }
}

/// What a model sees of a program before the next byte.
#[derive(Debug, Clone, Default)]
pub(crate) struct View {
    /// Hashes.
    pub(crate) contexts: [u32; CONTEXTS],
    /// What the next byte is.
    pub(crate) field: u8,
    /// The opcode so far, or the one before.
    pub(crate) opcode: u8,
}

/// Follows the instructions of a program, after [`absolute`].
#[derive(Debug, Clone)]
pub(crate) struct Code {
    instructions: Instructions,
    pub(crate) view: View,
}

#[derive(Debug, Clone)]
enum Instructions {
    X86(x86::Instructions),
    Arm64(arm64::Instructions),
}

impl Code {
    /// For bytes that begin at `at` of a block.
    pub(crate) fn new(machine: Machine, at: usize) -> Self {
        let instructions = match machine {
            Machine::X64 => Instructions::X86(x86::Instructions::new(true)),
            Machine::X86 => Instructions::X86(x86::Instructions::new(false)),
            Machine::Arm64 => Instructions::Arm64(arm64::Instructions::new(at)),
        };
        let mut code = Self { instructions, view: View::default() };
        code.look();
        code
    }

    /// Takes in the next byte.
    pub(crate) fn push(&mut self, byte: u8) {
        match &mut self.instructions {
            Instructions::X86(instructions) => instructions.push(byte),
            Instructions::Arm64(instructions) => instructions.push(byte),
        }
        self.look();
    }

    fn look(&mut self) {
        self.view = match &self.instructions {
            Instructions::X86(instructions) => instructions.view(),
            Instructions::Arm64(instructions) => instructions.view(),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SplitMix64;
    use proptest::prelude::*;

    /// Bytes of which many are opcodes with distances.
    fn code() -> impl Strategy<Value = Vec<u8>> {
        let opcodes = vec![
            0xe8, 0xe9, 0x0f, 0x84, 0x48, 0x8b, 0x05, 0x0d, 0x66, 0x67, 0xc4, 0xc5, 0x62, 0xf6,
            0xf7, 0x80, 0xc7, 0x94, 0x97, 0x90, 0xb0, 0, 1, 0xff,
        ];
        prop::collection::vec(prop_oneof![prop::sample::select(opcodes), any::<u8>()], 0..300)
    }

    proptest! {
        #[test]
        fn any_bytes_come_back(data in code()) {
            for machine in Machine::ALL {
                let mut changed = data.clone();
                absolute(machine, &mut changed);
                relative(machine, &mut changed);
                prop_assert!(changed == data, "{machine}");
                // The other way round as well: it is a bijection, so all that a damaged code decodes to has a content.
                relative(machine, &mut changed);
                absolute(machine, &mut changed);
                prop_assert!(changed == data, "{machine}");
            }
        }
    }

    #[test]
    fn calls_of_one_function_are_alike() {
        let call = |at: u32, target: u32| {
            [&b"\xe8"[..], &target.wrapping_sub(at + 5).to_le_bytes()].concat()
        };
        let mut data =
            [call(0, 300), call(5, 300), b"\x48\x8b\x05".to_vec(), 283u32.to_le_bytes().to_vec()]
                .concat();
        data.extend(b"\x81\x3d\x11\x01\x00\x00\x04\x03\x02\x01"); // an immediate behind the distance
        data.extend(b"\x48\x85\xc0\xe8\x00"); // cut off
        absolute(Machine::X64, &mut data);
        let target = [0, 0, 1, 44]; // 300, its highest byte first
        assert_eq!(data[..5], data[5..10]);
        assert_eq!([&data[1..5], &data[13..17], &data[19..23]], [target; 3]);
        assert_eq!(data[23..], *b"\x04\x03\x02\x01\x48\x85\xc0\xe8\x00");
    }

    #[test]
    fn words_of_arm_name_what_they_call() {
        let mut data = Vec::new();
        for at in 0..4u32 {
            data.extend((0x9400_0000 | 100u32.wrapping_sub(at) & 0x03ff_ffff).to_le_bytes());
        }
        data.extend([1, 2, 3]);
        absolute(Machine::Arm64, &mut data);
        assert_eq!(data, [&[0x94, 0, 0, 100].repeat(4)[..], &[1, 2, 3]].concat());
        // ADRP four pages on, at the start of the third page.
        let adrp = 0xb000_0015 | 1 << 5; // 1 * 4 + 1 pages
        assert_eq!(arm64::absolute(adrp, 8192), 0xf000_0015 | 1 << 5);
        assert_eq!(arm64::relative(arm64::absolute(adrp, 1 << 27), 1 << 27), adrp);
    }

    #[test]
    fn instructions_are_followed_through_any_bytes() {
        let mut random = SplitMix64::new(1);
        for machine in Machine::ALL {
            for at in 0..4 {
                let mut code = Code::new(machine, at);
                (0..20_000).for_each(|_| code.push(random.next_u64() as u8));
            }
        }
    }

    #[test]
    fn numbers_of_machines_read_back() {
        for machine in Machine::ALL {
            assert_eq!(Machine::of_number(machine.number()), Some(machine));
        }
        assert_eq!([0, 4, 1 << 40, u64::MAX].map(Machine::of_number), [None; 4]);
    }
}
