//! Student's t distribution.

/// The 97.5 % quantile of Student's t: Cornish and Fisher's expansion, within 0.5 % for four degrees of
/// freedom and more (Abramowitz and Stegun, 26.7.5); below from the table.
pub fn student(degrees: u64) -> f64 {
    /// The quantile of the normal distribution.
    const Z: f64 = 1.959_963_984_540_054;
    match degrees {
        0 => f64::INFINITY,
        1 => 12.706,
        2 => 4.303,
        3 => 3.182,
        degrees => {
            let n = degrees as f64;
            let z = Z;
            let g1 = (z.powi(3) + z) / 4.0;
            let g2 = (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / 96.0;
            let g3 = (3.0 * z.powi(7) + 19.0 * z.powi(5) + 17.0 * z.powi(3) - 15.0 * z) / 384.0;
            z + g1 / n + g2 / n.powi(2) + g3 / n.powi(3)
        }
    }
}
