//! Kernels cut into several dispatches give what one dispatch gives, to the last bit; and nothing of the full model is
//! larger than a watchdog allows.

mod support;

use burn::tensor::{Distribution, Tensor};
use medsam3_kernels::attention::{self, WindowGrid, attention, window_attention};
use medsam3_kernels::pieces::{MOST_OPERATIONS, largest_dispatch, limit};
use medsam3_kernels::product::{conv3x3_as, linear_as, matmul_as};
use medsam3_kernels::shares::PROBLEMS;
use medsam3_kernels::{Activation, Tiling};
use support::gpu;

/// Values of a result, as bits.
fn bits<const D: usize>(result: Tensor<D>) -> Vec<u32> {
    result.into_data().iter::<f32>().map(f32::to_bits).collect()
}

/// One test: the limit belongs to the process.
#[test]
fn a_kernel_in_pieces_gives_the_same_bits() {
    let Some(device) = gpu() else {
        println!("skipped: MEDSAM3_WGPU_TESTS is not set");
        return;
    };
    let distribution = Distribution::Normal(0.0, 1.0);
    let matrix = |rows, columns| Tensor::<2>::random([rows, columns], distribution, &device);
    let (x, weight, bias) = (matrix(150, 64), matrix(64, 72), matrix(1, 72).reshape([72]));
    let maps = Tensor::<4>::random([2, 13, 11, 8], distribution, &device);
    let (taps, map_bias) = (matrix(72, 12), matrix(1, 12).reshape([12]));
    let tokens = |batch, n| Tensor::<3>::random([batch, n, 64], distribution, &device);
    let (q, k, v) = (tokens(1, 150), tokens(1, 70), tokens(1, 70));
    let windows = [tokens(8, 12), tokens(8, 12), tokens(8, 12)];
    let grid = WindowGrid {
        rows: 5,
        columns: 7,
        window_rows: 3,
        window_columns: 4,
    };

    let run = |tiling| {
        let three = |x: &Tensor<2>| x.clone().reshape([2, -1, 16]);
        let product = linear_as(
            tiling,
            x.clone(),
            weight.clone(),
            Some(bias.clone()),
            Activation::Gelu,
        );
        let right = three(&x).swap_dims(1, 2);
        let batch = matmul_as(tiling, three(&x), right);
        let map = conv3x3_as(tiling, maps.clone(), taps.clone(), map_bias.clone());
        [bits(product), bits(batch), bits(map)]
    };
    let attend = || {
        let [a, b, c] = windows.clone();
        let whole = attention(q.clone(), k.clone(), v.clone(), 2, None, None);
        [bits(whole), bits(window_attention(a, b, c, 2, grid))]
    };
    for tiling in Tiling::ALL {
        limit(MOST_OPERATIONS);
        let whole = run(tiling);
        limit(200_000);
        assert_eq!(run(tiling), whole, "{tiling:?}");
    }
    for variant in attention::candidates() {
        attention::choose(variant);
        limit(MOST_OPERATIONS);
        let whole = attend();
        // Workgroups of one head and more queries than there are.
        limit(100_000);
        assert_eq!(attend(), whole, "{variant:?}");
    }
    // The products above in one piece are the largest dispatches: 150 x 150 x 16 in two products.
    assert!((1_000_000..MOST_OPERATIONS).contains(&largest_dispatch()));
}

/// Two kernels of the full model take more than a dispatch may; all shapes are those of `PROBLEMS`.
#[test]
fn the_full_models_largest_kernels_are_cut() {
    let most = MOST_OPERATIONS as f64;
    let cut = PROBLEMS
        .iter()
        .filter(|problem| problem.operations() > most);
    let names: Vec<&str> = cut.map(|problem| problem.name).collect();
    assert_eq!(names, ["conv3x3 288x288x256", "attention, global 5184"]);
}
