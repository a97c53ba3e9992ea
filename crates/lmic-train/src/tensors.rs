//! Tensors to numbers, and to safetensors files and back.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use burn::tensor::Tensor;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use crate::replace::replace;

/// The numbers of a tensor, row by row.
pub(crate) fn values(tensor: &Tensor<2>) -> Vec<f32> {
    tensor.to_data().as_slice::<f32>().expect("parameters are f32").to_vec()
}

/// Tensors on their way into a safetensors file.
#[derive(Default)]
pub(crate) struct TensorFile(Vec<(String, Dtype, Vec<usize>, Vec<u8>)>);

impl TensorFile {
    pub(crate) fn add(&mut self, name: String, shape: Vec<usize>, values: &[f32]) {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.add_bytes(name, Dtype::F32, shape, bytes);
    }

    /// A tensor of another format, in little endian.
    pub(crate) fn add_bytes(
        &mut self,
        name: String,
        dtype: Dtype,
        shape: Vec<usize>,
        bytes: Vec<u8>,
    ) {
        self.0.push((name, dtype, shape, bytes));
    }

    pub(crate) fn write(&self, path: &Path, metadata: HashMap<String, String>) -> Result<()> {
        let views = self.0.iter().map(|(name, dtype, shape, bytes)| {
            Ok((name, TensorView::new(*dtype, shape.clone(), bytes)?))
        });
        let views: Vec<_> = views.collect::<Result<_>>()?;
        replace(path, &safetensors::serialize(views, Some(metadata))?)
    }
}

/// The numbers of an f32 tensor of this shape (one row: of one dimension, too).
pub(crate) fn tensor_values(
    file: &SafeTensors<'_>,
    name: &str,
    shape: &[usize; 2],
) -> Result<Vec<f32>> {
    let tensor = file.tensor(name).with_context(|| name.to_string())?;
    ensure!(tensor.dtype() == Dtype::F32, "{name}: {:?}, only F32", tensor.dtype());
    let found = tensor.shape();
    ensure!(
        found == shape || (shape[0] == 1 && found == &shape[1..]),
        "{name}: shape {found:?}, expected {shape:?}"
    );
    let chunks = tensor.data().chunks_exact(4);
    Ok(chunks.map(|b| f32::from_le_bytes(b.try_into().expect("4 bytes"))).collect())
}
