//! A tensor of a model, as it is written to a file and hashed for the identity.

use super::tokens::TensorInfo;

/// A tensor as a file has it.
#[derive(Debug, Clone)]
pub struct Tensor<'a> {
    /// The name, such as `model.layers.0.self_attn.q_proj.weight`.
    pub name: String,
    /// Dimensions, the outermost first.
    pub shape: Vec<usize>,
    /// The numbers, the last dimension running fastest.
    pub data: TensorData<'a>,
}

impl Tensor<'_> {
    /// What is shown of it.
    pub(crate) fn info(&self) -> TensorInfo {
        let (name, shape) = (self.name.clone(), self.shape.clone());
        TensorInfo { name, format: self.data.dtype(), shape, bytes: self.data.byte_len() }
    }
}

/// The numbers of a [`Tensor`].
#[derive(Debug, Clone, Copy)]
pub enum TensorData<'a> {
    /// Plain numbers, or scales.
    F32(&'a [f32]),
    /// Rows for frequent contexts.
    U8(&'a [u8]),
    /// Quantised weights.
    I8(&'a [i8]),
}

impl TensorData<'_> {
    /// Bytes that the numbers take.
    pub fn byte_len(&self) -> u64 {
        match self {
            Self::F32(data) => size_of_val(*data) as u64,
            Self::U8(data) => data.len() as u64,
            Self::I8(data) => data.len() as u64,
        }
    }

    /// `F32`, `U8` or `I8`, as in a safetensors header.
    pub fn dtype(&self) -> &'static str {
        match self {
            Self::F32(_) => "F32",
            Self::U8(_) => "U8",
            Self::I8(_) => "I8",
        }
    }

    /// Hands out the little-endian bytes of the numbers, piece by piece.
    pub(super) fn for_each_chunk(&self, mut take: impl FnMut(&[u8])) {
        // Large enough that a hasher can work on many of its own chunks at a time.
        const CHUNK: usize = 16 << 10;
        let mut bytes = Vec::with_capacity(4 * CHUNK);
        match self {
            Self::U8(data) => take(data),
            Self::F32(data) => data.chunks(CHUNK).for_each(|piece| {
                bytes.clear();
                bytes.extend(piece.iter().flat_map(|x| x.to_le_bytes()));
                take(&bytes);
            }),
            Self::I8(data) => data.chunks(CHUNK).for_each(|piece| {
                bytes.clear();
                bytes.extend(piece.iter().map(|x| x.cast_unsigned()));
                take(&bytes);
            }),
        }
    }
}
