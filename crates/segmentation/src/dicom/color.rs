//! Colours as DICOM recommends them for display: CIELab with the white of D50, in 16 bits each
//! (PS3.3 C.10.7.1.1), from and to sRGB (IEC 61966-2-1, adapted by Bradford's matrix).

/// XYZ of linear sRGB, adapted from D65 to D50.
const TO_XYZ: [[f64; 3]; 3] = [
    [0.436_074_7, 0.385_064_9, 0.143_080_4],
    [0.222_504_5, 0.716_878_6, 0.060_616_9],
    [0.013_932_2, 0.097_104_5, 0.714_173_3],
];

/// White of D50.
const WHITE: [f64; 3] = [0.964_22, 1.0, 0.825_21];

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
    let [x, y, z] = TO_XYZ.map(|row| row.iter().zip(rgb).map(|(a, b)| a * b).sum::<f64>());
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

#[cfg(test)]
mod tests {
    use super::cielab;

    /// `highdicom.color.CIELabColor.from_rgb(...).value` of highdicom 0.28.2, which computes by lcms.
    #[test]
    fn colours_are_those_of_highdicom() {
        for (rgb, expected) in include!("../../tests/colors.in") {
            for (got, want) in cielab(rgb).into_iter().zip(expected) {
                let (got, want): (i32, i32) = (got.into(), want);
                // One step of eight bits, which lcms computes in.
                assert!((got - want).abs() <= 400, "{rgb:?}: {got} {want}");
            }
        }
    }
}
