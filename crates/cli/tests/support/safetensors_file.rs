//! A safetensors file written tensor by tensor.

use std::io::{Result, Write};

use super::Tensor;

pub fn write(out: &mut impl Write, tensors: &[Tensor]) -> Result<()> {
    let mut header = serde_json::Map::new();
    let mut offset = 0;
    for tensor in tensors {
        let end = offset + tensor.bytes();
        let entry = serde_json::json!({
            "dtype": "F32", "shape": tensor.shape, "data_offsets": [offset, end],
        });
        header.insert(tensor.name.clone(), entry);
        offset = end;
    }
    let mut header = serde_json::to_vec(&header)?;
    header.resize(header.len().next_multiple_of(8), b' ');
    out.write_all(&(header.len() as u64).to_le_bytes())?;
    out.write_all(&header)?;
    for tensor in tensors {
        write_values(out, &tensor.values())?;
    }
    Ok(())
}

pub fn write_values(out: &mut (impl Write + ?Sized), values: &[f32]) -> Result<()> {
    let mut buffer = Vec::with_capacity(1 << 20);
    for some in values.chunks(1 << 18) {
        buffer.clear();
        buffer.extend(some.iter().flat_map(|value| value.to_le_bytes()));
        out.write_all(&buffer)?;
    }
    Ok(())
}
