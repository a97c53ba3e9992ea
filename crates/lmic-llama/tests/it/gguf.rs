//! A GGUF file taken apart, to be changed and put together again, whole or in parts. Shared with the tests of the command.

/// Numbers of the format for types of values.
pub const U16: u32 = 2;
pub const U32: u32 = 4;
pub const STRING: u32 = 8;
const LIST: u32 = 9;

#[derive(Clone)]
pub struct Gguf {
    pub version: u32,
    /// Key, type, the value as in the file.
    pub metadata: Vec<(String, u32, Vec<u8>)>,
    pub tensors: Vec<Tensor>,
}

#[derive(Clone)]
pub struct Tensor {
    pub name: String,
    /// The innermost first.
    pub shape: Vec<u64>,
    pub format: u32,
    /// With what fills it up to a multiple of 32.
    pub data: Vec<u8>,
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take(&mut self, len: usize) -> Vec<u8> {
        let (taken, rest) = self.0.split_at(len);
        self.0 = rest;
        taken.to_vec()
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take(4).try_into().unwrap())
    }

    fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.take(8).try_into().unwrap())
    }

    fn text(&mut self) -> String {
        let len = self.u64() as usize;
        String::from_utf8(self.take(len)).unwrap()
    }

    /// Moves behind a value.
    fn skip(&mut self, kind: u32) {
        let len = match kind {
            0 | 1 | 7 => 1,
            2 | 3 => 2,
            4..=6 => 4,
            STRING => self.u64() as usize,
            LIST => {
                let (kind, count) = (self.u32(), self.u64());
                (0..count).for_each(|_| self.skip(kind));
                0
            }
            _ => 8,
        };
        self.take(len);
    }
}

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat()
}

impl Gguf {
    pub fn of(bytes: &[u8]) -> Self {
        let mut reader = Reader(bytes);
        assert_eq!(reader.take(4), b"GGUF");
        let (version, tensors, keys) = (reader.u32(), reader.u64(), reader.u64());
        let mut metadata = Vec::new();
        for _ in 0..keys {
            let (key, kind) = (reader.text(), reader.u32());
            let before = reader.0;
            reader.skip(kind);
            metadata.push((key, kind, before[..before.len() - reader.0.len()].to_vec()));
        }
        let mut infos = Vec::new();
        for _ in 0..tensors {
            let (name, dimensions) = (reader.text(), reader.u32());
            let shape = (0..dimensions).map(|_| reader.u64()).collect();
            infos.push((name, shape, reader.u32(), reader.u64() as usize));
        }
        let start = (bytes.len() - reader.0.len()).next_multiple_of(32);
        let data = &bytes[start..];
        let ends: Vec<usize> =
            infos.iter().skip(1).map(|info| info.3).chain([data.len()]).collect();
        let tensors = infos.into_iter().zip(ends).map(|((name, shape, format, at), end)| {
            let mut data = data[at..end].to_vec();
            data.resize(data.len().next_multiple_of(32), 0);
            Tensor { name, shape, format, data }
        });
        Self { version, metadata, tensors: tensors.collect() }
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let mut file = b"GGUF".to_vec();
        file.extend(self.version.to_le_bytes());
        file.extend((self.tensors.len() as u64).to_le_bytes());
        file.extend((self.metadata.len() as u64).to_le_bytes());
        for (key, kind, value) in &self.metadata {
            file.extend(text(key));
            file.extend(kind.to_le_bytes());
            file.extend(value);
        }
        let mut offset = 0u64;
        for tensor in &self.tensors {
            file.extend(text(&tensor.name));
            file.extend((tensor.shape.len() as u32).to_le_bytes());
            file.extend(tensor.shape.iter().flat_map(|dim| dim.to_le_bytes()));
            file.extend(tensor.format.to_le_bytes());
            file.extend(offset.to_le_bytes());
            offset += tensor.data.len() as u64;
        }
        file.resize(file.len().next_multiple_of(32), 0);
        file.extend(self.tensors.iter().flat_map(|tensor| &tensor.data));
        file
    }

    pub fn without(mut self, key: &str) -> Self {
        self.metadata.retain(|(found, ..)| found != key);
        self
    }

    pub fn with_u32(self, key: &str, n: u32) -> Self {
        let mut file = self.without(key);
        file.metadata.push((key.into(), U32, n.to_le_bytes().into()));
        file
    }

    pub fn with_text(self, key: &str, value: &str) -> Self {
        let mut file = self.without(key);
        file.metadata.push((key.into(), STRING, text(value)));
        file
    }

    /// In `count` files, as llama.cpp splits: all metadata in the first, tensors in turn from part `first` on.
    pub fn split(&self, count: u16, first: usize) -> Vec<Vec<u8>> {
        let each = self.tensors.len().div_ceil(usize::from(count) - first);
        let part = |number: u16| {
            let metadata = if number == 0 { self.metadata.clone() } else { Vec::new() };
            let of_part = usize::from(number).checked_sub(first);
            let tensors = of_part.and_then(|i| self.tensors.chunks(each).nth(i));
            let tensors = tensors.unwrap_or_default().to_vec();
            let mut part = Self { version: self.version, metadata, tensors };
            for (key, n) in [("split.no", number), ("split.count", count)] {
                part.metadata.push((key.into(), U16, n.to_le_bytes().into()));
            }
            part.with_u32("split.tensors.count", self.tensors.len() as u32).to_bytes()
        };
        (0..count).map(part).collect()
    }
}
