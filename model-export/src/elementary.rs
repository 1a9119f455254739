//! Elementary functions that learner and rollouts share, written so that the compiler vectorises them: no
//! table, no branch, no platform `libm`, no fused multiply-add. The same bits on every machine.

/// `e^x` for finite `x`, relative error below 2e-7 in `-87..=88`, clamped outside.
#[inline(always)]
#[must_use]
pub fn exp(x: f32) -> f32 {
    // Adding 1.5 * 2^23 rounds to the nearest integer, which then sits in the low bits.
    const MAGIC: f32 = 12_582_912.0;
    // ln 2 in two parts: the high one has few enough bits for `n * HIGH` to be exact.
    const HIGH: f32 = 0.693_359_4;
    const LOW: f32 = -2.121_944_4e-4;
    let x = if x > 88.0 { 88.0 } else { x };
    let x = if x < -87.0 { -87.0 } else { x };
    let shifted = x * std::f32::consts::LOG2_E + MAGIC;
    let n = shifted - MAGIC;
    let r = (x - n * HIGH) - n * LOW;
    let p = 1.987_569_1e-4;
    let p = p * r + 1.398_2e-3;
    let p = p * r + 8.333_452e-3;
    let p = p * r + 4.166_579_6e-2;
    let p = p * r + 1.666_666_5e-1;
    let p = p * r + 0.5;
    let y = p * (r * r) + r + 1.0;
    let exponent = shifted
        .to_bits()
        .wrapping_sub(MAGIC.to_bits())
        .wrapping_add(127)
        << 23;
    y * f32::from_bits(exponent)
}

/// Hyperbolic tangent, absolute error below 2e-7.
#[inline(always)]
#[must_use]
pub fn tanh(x: f32) -> f32 {
    let x = if x > 20.0 { 20.0 } else { x };
    1.0 - 2.0 / (exp(2.0 * x) + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_and_tanh_are_accurate() {
        for step in -86_900..=87_900 {
            let x = step as f32 * 1e-3;
            let exact = f64::from(x).exp();
            assert!(
                (f64::from(exp(x)) - exact).abs() <= 2e-7 * exact,
                "exp({x})"
            );
            assert!(
                (f64::from(tanh(x)) - f64::from(x).tanh()).abs() <= 2e-7,
                "tanh({x})"
            );
        }
    }
}
