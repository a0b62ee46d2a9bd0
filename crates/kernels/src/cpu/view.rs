//! Reading and making tensors of the Flex device without copying them.

use burn::backend::{
    BackendTensor, DispatchAutodiffContext, DispatchTensor, DispatchTensorKind, Flex,
    tensor::FloatTensor,
};
use burn::tensor::{Bool, DType, Device, Tensor, TensorData};

/// A tensor of the Flex device.
pub(crate) type Host = FloatTensor<Flex>;

/// The host tensor behind `x`: f32, on the Flex device, not tracked by autodiff. Any other comes back as it is.
pub(crate) fn host<const D: usize>(x: Tensor<D>) -> Result<Host, Tensor<D>> {
    let x = x.into_dispatch();
    match (x.kind, x.autodiff) {
        (DispatchTensorKind::Flex(BackendTensor::Float(x)), DispatchAutodiffContext::Disabled)
            if x.dtype() == DType::F32 =>
        {
            Ok(x)
        }
        (kind, autodiff) => Err(Tensor::from_dispatch(DispatchTensor { kind, autodiff })),
    }
}

/// Values of a tensor with the step of each axis. Keeps the values alive.
pub(super) struct View<const D: usize> {
    tensor: Host,
    /// Extents.
    pub dims: [usize; D],
    /// Steps in values.
    pub steps: [usize; D],
    offset: usize,
}

impl<const D: usize> View<D> {
    /// `None` where [`host`] gives none or an axis runs backwards.
    pub fn of(x: &Tensor<D>) -> Option<Self> {
        let dims = x.dims();
        let tensor = host(x.clone()).ok()?;
        let mut steps = [0; D];
        for (step, &stride) in steps.iter_mut().zip(tensor.layout().strides()) {
            *step = usize::try_from(stride).ok()?;
        }
        let offset = tensor.layout().start_offset();
        Some(Self {
            tensor,
            dims,
            steps,
            offset,
        })
    }

    /// The values from the first element on.
    pub fn values(&self) -> &[f32] {
        &self.tensor.storage::<f32>()[self.offset..]
    }
}

/// A contiguous copy of `x`, or `x` itself where it is contiguous.
pub(super) struct Dense {
    tensor: Host,
    start: usize,
    end: usize,
}

impl Dense {
    /// `None` where [`host`] gives none.
    pub fn of<const D: usize>(x: Tensor<D>) -> Option<Self> {
        let tensor = host(x).ok()?.to_contiguous();
        let (start, end) = tensor.layout().contiguous_offsets()?;
        Some(Self { tensor, start, end })
    }

    /// The values in the order of rows.
    pub fn values(&self) -> &[f32] {
        &self.tensor.storage::<f32>()[self.start..self.end]
    }
}

/// True at keys to leave out, with the step of each axis (zero where the axis is repeated).
#[derive(Debug)]
pub(crate) struct Mask {
    values: Vec<bool>,
    steps: [usize; 4],
}

impl Mask {
    /// Reads a mask of the extents `dims` or one there.
    pub fn of(mask: Tensor<4, Bool>, dims: [usize; 4]) -> Option<Self> {
        let own = mask.dims();
        let mut steps = [0; 4];
        let mut step = 1;
        for axis in (0..4).rev() {
            if own[axis] == dims[axis] {
                steps[axis] = if own[axis] == 1 { 0 } else { step };
            } else if own[axis] != 1 {
                return None;
            }
            step *= own[axis];
        }
        let values = mask.into_data().iter::<bool>().collect();
        Some(Self { values, steps })
    }

    /// Whether the key is left out.
    #[inline]
    pub fn at(&self, index: [usize; 4]) -> bool {
        let place: usize = index.iter().zip(self.steps).map(|(i, step)| i * step).sum();
        self.values[place]
    }
}

/// A tensor of new values.
pub(super) fn tensor<const D: usize>(
    values: Vec<f32>,
    dims: [usize; D],
    device: &Device,
) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values, dims), device)
}

/// Applies `change` to the values of `x`, in place where nothing else holds them; gives `x` back where [`host`] does.
pub(super) fn change<const D: usize>(
    x: Tensor<D>,
    change: impl FnOnce(&mut [f32]),
) -> Result<Tensor<D>, Tensor<D>> {
    let dims = x.dims();
    let device = x.device();
    let mut inner = host(x)?;
    if let Some((0, end)) = inner.layout().contiguous_offsets()
        && let Some(values) = inner.try_storage_mut::<f32>()
    {
        change(&mut values[..end]);
        return Ok(wrap(inner));
    }
    let dense = inner.to_contiguous();
    let mut values = match dense.layout().contiguous_offsets() {
        Some((start, end)) => dense.storage::<f32>()[start..end].to_vec(),
        None => return Err(wrap(dense)),
    };
    change(&mut values);
    Ok(tensor(values, dims, &device))
}

/// `x` as a tensor of `D` axes, which it must have.
pub(crate) fn wrap<const D: usize>(x: Host) -> Tensor<D> {
    Tensor::from_dispatch(DispatchTensor {
        kind: DispatchTensorKind::Flex(BackendTensor::Float(x)),
        autodiff: DispatchAutodiffContext::Disabled,
    })
}
