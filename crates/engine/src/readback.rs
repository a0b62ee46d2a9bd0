//! Results from the device to the host. Always asynchronously: a browser's thread may not block.

use medsam3_model::burn::tensor::{Device, Tensor};

use crate::EngineError;

/// All values, row-major.
pub(crate) async fn values<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>, EngineError> {
    let data = tensor.into_data_async().await?;
    Ok(data.iter::<f32>().collect())
}

/// Returns when `tensor` is computed: the device works on its own time, and its failures come with its results.
pub(crate) async fn settle(tensor: &Tensor<4>) -> Result<(), EngineError> {
    let one = tensor.clone().slice([0..1, 0..1, 0..1, 0..1]);
    let _ = one.into_data_async().await?;
    Ok(())
}

/// Returns when the device has done all that it was given, uploads among it.
pub(crate) async fn settle_device(device: &Device) -> Result<(), EngineError> {
    let _ = Tensor::<1>::zeros([1], device).into_data_async().await?;
    Ok(())
}
