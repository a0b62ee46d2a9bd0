//! L1 and generalised IoU of matched boxes (reference 5.1). Boxes are cxcywh in 0..1.

use burn::tensor::Tensor;

/// Keeps degenerate boxes finite, as torchvision's `generalized_box_iou_loss` does.
const EPS: f32 = 1e-7;

/// Sums over matched pairs; the caller divides by the number of objects.
#[derive(Debug, Clone)]
pub struct BoxLosses {
    /// `Σ |b - b*|`, scalar.
    pub l1: Tensor<1>,
    /// `Σ (1 - GIoU)`, scalar.
    pub giou: Tensor<1>,
}

/// Scores `predicted` against `target`, both `[pairs, 4]` with at least one pair.
pub fn box_losses(predicted: Tensor<2>, target: Tensor<2>) -> BoxLosses {
    let l1 = (predicted.clone() - target.clone()).abs().sum();
    let [ax0, ay0, ax1, ay1] = corners(predicted);
    let [bx0, by0, bx1, by1] = corners(target);
    let area = |x0: &Tensor<2>, y0: &Tensor<2>, x1: &Tensor<2>, y1: &Tensor<2>| {
        (x1.clone() - x0.clone()) * (y1.clone() - y0.clone())
    };
    let width =
        (ax1.clone().min_pair(bx1.clone()) - ax0.clone().max_pair(bx0.clone())).clamp_min(0.0);
    let height =
        (ay1.clone().min_pair(by1.clone()) - ay0.clone().max_pair(by0.clone())).clamp_min(0.0);
    let intersection = width * height;
    let union = area(&ax0, &ay0, &ax1, &ay1) + area(&bx0, &by0, &bx1, &by1) - intersection.clone();
    let hull = (ax1.max_pair(bx1) - ax0.min_pair(bx0)) * (ay1.max_pair(by1) - ay0.min_pair(by0));
    let iou = intersection / (union.clone() + EPS);
    let giou = iou - (hull.clone() - union) / (hull + EPS);
    BoxLosses {
        l1,
        giou: (-giou + 1.0).sum(),
    }
}

fn corners(boxes: Tensor<2>) -> [Tensor<2>; 4] {
    let column = |i: usize| boxes.clone().narrow(1, i, 1);
    let (cx, cy, half_w, half_h) = (column(0), column(1), column(2) * 0.5, column(3) * 0.5);
    [
        cx.clone() - half_w.clone(),
        cy.clone() - half_h.clone(),
        cx + half_w,
        cy + half_h,
    ]
}

/// Intersection over union of two cxcywh boxes, on the host.
pub fn iou(a: [f32; 4], b: [f32; 4]) -> f32 {
    let (intersection, union, _) = overlap(a, b);
    if union > 0.0 {
        intersection / union
    } else {
        0.0
    }
}

/// Generalised IoU of two cxcywh boxes, on the host; -1..1.
pub fn pair_giou(a: [f32; 4], b: [f32; 4]) -> f32 {
    let (intersection, union, hull) = overlap(a, b);
    intersection / (union + EPS) - (hull - union) / (hull + EPS)
}

fn overlap(a: [f32; 4], b: [f32; 4]) -> (f32, f32, f32) {
    let span = |axis: usize| {
        let (a0, a1) = (a[axis] - a[axis + 2] / 2.0, a[axis] + a[axis + 2] / 2.0);
        let (b0, b1) = (b[axis] - b[axis + 2] / 2.0, b[axis] + b[axis + 2] / 2.0);
        ((a1.min(b1) - a0.max(b0)).max(0.0), a1.max(b1) - a0.min(b0))
    };
    let ((w, hull_w), (h, hull_h)) = (span(0), span(1));
    let intersection = w * h;
    (
        intersection,
        a[2] * a[3] + b[2] * b[3] - intersection,
        hull_w * hull_h,
    )
}
