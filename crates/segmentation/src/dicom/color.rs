//! Colours as DICOM recommends them for display: CIELab in 16 bits each (PS3.3 C.10.7.1.1), from and to sRGB
//! (IEC 61966-2-1). With the white of D65 and without adaptation to the D50 of the standard's profile
//! connection space, as highdicom, dcmqi and dcmjs convert: what they show is then the colour that was meant.

/// XYZ of linear sRGB, and back.
const TO_XYZ: [[f64; 3]; 3] = [
    [0.412_456_4, 0.357_576_1, 0.180_437_5],
    [0.212_672_9, 0.715_152_2, 0.072_175_0],
    [0.019_333_9, 0.119_192_0, 0.950_304_1],
];
const FROM_XYZ: [[f64; 3]; 3] = [
    [3.240_454_2, -1.537_138_5, -0.498_531_4],
    [-0.969_266_0, 1.876_010_8, 0.041_556_0],
    [0.055_643_4, -0.204_025_9, 1.057_225_2],
];

/// White of D65.
const WHITE: [f64; 3] = [0.950_47, 1.0, 1.088_83];

fn product(matrix: &[[f64; 3]; 3], vector: [f64; 3]) -> [f64; 3] {
    matrix.map(|row| row.iter().zip(vector).map(|(a, b)| a * b).sum())
}

/// Recommended Display CIELab Value of a colour.
pub(super) fn cielab([red, green, blue]: [u8; 3]) -> [u16; 3] {
    let linear = |value: u8| {
        let value = f64::from(value) / 255.0;
        if value <= 0.040_45 {
            value / 12.92
        } else {
            ((value + 0.055) / 1.055).powf(2.4)
        }
    };
    let rgb = [linear(red), linear(green), linear(blue)];
    let f = |t: f64| {
        if t > 216.0 / 24389.0 {
            t.cbrt()
        } else {
            (24389.0 / 27.0 * t + 16.0) / 116.0
        }
    };
    let [x, y, z] = product(&TO_XYZ, rgb);
    let [white_x, white_y, white_z] = WHITE;
    let (fx, fy, fz) = (f(x / white_x), f(y / white_y), f(z / white_z));
    let lightness = 116.0 * fy - 16.0;
    let scaled = |value: f64| value.round().clamp(0.0, 65535.0) as u16;
    [
        scaled(lightness * 655.35),
        scaled((500.0 * (fx - fy) + 128.0) * 257.0),
        scaled((200.0 * (fy - fz) + 128.0) * 257.0),
    ]
}

/// The colour of a Recommended Display CIELab Value; what sRGB does not have is cut off.
pub(crate) fn rgb([lightness, a, b]: [u16; 3]) -> [u8; 3] {
    let lightness = f64::from(lightness) / 655.35;
    let (a, b) = (f64::from(a) / 257.0 - 128.0, f64::from(b) / 257.0 - 128.0);
    let y = (lightness + 16.0) / 116.0;
    let inverse = |t: f64| {
        if t > 6.0 / 29.0 {
            t.powi(3)
        } else {
            (116.0 * t - 16.0) * 27.0 / 24389.0
        }
    };
    let [white_x, white_y, white_z] = WHITE;
    let xyz = [
        inverse(y + a / 500.0) * white_x,
        inverse(y) * white_y,
        inverse(y - b / 200.0) * white_z,
    ];
    product(&FROM_XYZ, xyz).map(|linear| {
        let value = if linear <= 0.003_130_8 {
            12.92 * linear
        } else {
            1.055 * linear.powf(1.0 / 2.4) - 0.055
        };
        (value * 255.0).round().clamp(0.0, 255.0) as u8
    })
}

#[cfg(test)]
mod tests {
    use super::{cielab, rgb};

    #[test]
    fn colours_come_back() {
        for color in [[0, 0, 0], [255, 255, 255], [230, 159, 0], [1, 2, 250]] {
            assert_eq!(rgb(cielab(color)), color);
        }
    }

    /// `highdicom.color.CIELabColor.from_rgb(...).value` of highdicom 0.28.2.
    #[test]
    fn colours_are_those_of_highdicom() {
        for (color, expected) in include!("../../tests/colors.in") {
            for (got, want) in cielab(color).into_iter().zip(expected) {
                let (got, want): (i32, i32) = (got.into(), want);
                assert!((got - want).abs() <= 16, "{color:?}: {got} {want}");
            }
        }
    }
}
