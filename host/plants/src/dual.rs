//! Numbers that carry their own derivatives: what differentiable plants compute with.

use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub};

/// A number that a plant's equations may be written in: `f32` to simulate, [`Dual`] to differentiate, `f64` to check.
///
/// Functions beyond square roots are `libm`'s, which gives the same bits on every machine.
pub trait Real:
    Copy
    + PartialOrd
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + From<f32>
{
    /// This number times a constant.
    #[must_use]
    fn scale(self, factor: f32) -> Self;
    /// This number plus a constant.
    #[must_use]
    fn offset(self, constant: f32) -> Self;
    /// Square root.
    #[must_use]
    fn sqrt(self) -> Self;
    /// Sine, of rad.
    #[must_use]
    fn sin(self) -> Self;
    /// Cosine, of rad.
    #[must_use]
    fn cos(self) -> Self;
    /// The smaller of the two; at a tie this one, with its derivative.
    #[must_use]
    fn min(self, other: Self) -> Self {
        if other < self { other } else { self }
    }
    /// The larger of the two; at a tie this one, with its derivative.
    #[must_use]
    fn max(self, other: Self) -> Self {
        if other > self { other } else { self }
    }
}

macro_rules! real {
    ($float:ty, $sin:path, $cos:path) => {
        impl Real for $float {
            #[inline(always)]
            fn scale(self, factor: f32) -> Self {
                self * Self::from(factor)
            }
            #[inline(always)]
            fn offset(self, constant: f32) -> Self {
                self + Self::from(constant)
            }
            #[inline(always)]
            fn sqrt(self) -> Self {
                <$float>::sqrt(self)
            }
            #[inline]
            fn sin(self) -> Self {
                $sin(self)
            }
            #[inline]
            fn cos(self) -> Self {
                $cos(self)
            }
        }
    };
}

real!(f32, libm::sinf, libm::cosf);
real!(f64, libm::sin, libm::cos);

/// A number with its derivatives by `N` inputs (forward mode): every operation applies the chain rule.
#[derive(Clone, Copy, Debug)]
pub struct Dual<T, const N: usize> {
    /// The number.
    pub value: T,
    /// Its derivative by each of the inputs.
    pub tangents: [T; N],
}

impl<T: Real, const N: usize> Dual<T, N> {
    /// A constant: no input moves it.
    #[inline(always)]
    #[must_use]
    pub fn constant(value: T) -> Self {
        Self {
            value,
            tangents: [T::from(0.0); N],
        }
    }

    /// Input number `input`; a constant where that is not among the `N`.
    #[inline(always)]
    #[must_use]
    pub fn input(value: T, input: usize) -> Self {
        let mut dual = Self::constant(value);
        if let Some(tangent) = dual.tangents.get_mut(input) {
            *tangent = T::from(1.0);
        }
        dual
    }

    /// `value` with these tangents times `slope`: the chain rule of a function of one number.
    #[inline(always)]
    fn chain(self, value: T, slope: T) -> Self {
        let mut tangents = self.tangents;
        for tangent in &mut tangents {
            *tangent = *tangent * slope;
        }
        Self { value, tangents }
    }

    /// `value` with `left` times the tangents of this plus `right` times those of `other`.
    #[inline(always)]
    fn combine(self, other: Self, value: T, left: T, right: T) -> Self {
        let mut tangents = self.tangents;
        for (tangent, other) in tangents.iter_mut().zip(other.tangents) {
            *tangent = *tangent * left + other * right;
        }
        Self { value, tangents }
    }
}

impl<T: Real, const N: usize> Real for Dual<T, N> {
    #[inline(always)]
    fn scale(self, factor: f32) -> Self {
        self.chain(self.value.scale(factor), T::from(factor))
    }
    #[inline(always)]
    fn offset(self, constant: f32) -> Self {
        Self {
            value: self.value.offset(constant),
            ..self
        }
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        let root = self.value.sqrt();
        self.chain(root, T::from(0.5) / root)
    }
    #[inline]
    fn sin(self) -> Self {
        self.chain(self.value.sin(), self.value.cos())
    }
    #[inline]
    fn cos(self) -> Self {
        self.chain(self.value.cos(), -self.value.sin())
    }
}

impl<T: Real, const N: usize> From<f32> for Dual<T, N> {
    #[inline(always)]
    fn from(value: f32) -> Self {
        Self::constant(T::from(value))
    }
}

/// By the values alone: derivatives have no say in which way a plant's equations branch.
impl<T: Real, const N: usize> PartialEq for Dual<T, N> {
    #[inline(always)]
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T: Real, const N: usize> PartialOrd for Dual<T, N> {
    #[inline(always)]
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        self.value.partial_cmp(&other.value)
    }
}

impl<T: Real, const N: usize> Add for Dual<T, N> {
    type Output = Self;
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        let mut sum = self;
        sum += other;
        sum
    }
}

impl<T: Real, const N: usize> AddAssign for Dual<T, N> {
    #[inline(always)]
    fn add_assign(&mut self, other: Self) {
        self.value += other.value;
        for (tangent, other) in self.tangents.iter_mut().zip(other.tangents) {
            *tangent += other;
        }
    }
}

impl<T: Real, const N: usize> Sub for Dual<T, N> {
    type Output = Self;
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        let mut difference = self;
        difference.value = self.value - other.value;
        for (tangent, other) in difference.tangents.iter_mut().zip(other.tangents) {
            *tangent = *tangent - other;
        }
        difference
    }
}

impl<T: Real, const N: usize> Mul for Dual<T, N> {
    type Output = Self;
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self.combine(other, self.value * other.value, other.value, self.value)
    }
}

impl<T: Real, const N: usize> Div for Dual<T, N> {
    type Output = Self;
    #[inline(always)]
    fn div(self, other: Self) -> Self {
        let inverse = T::from(1.0) / other.value;
        let value = self.value / other.value;
        self.combine(other, value, inverse, -(value * inverse))
    }
}

impl<T: Real, const N: usize> Neg for Dual<T, N> {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        let mut negative = self;
        negative.value = -self.value;
        for tangent in &mut negative.tangents {
            *tangent = -*tangent;
        }
        negative
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derivatives_are_those_of_finite_differences() {
        type Of<T> = fn(T, T) -> T;
        fn functions<T: Real>() -> [(&'static str, Of<T>); 10] {
            [
                ("sum", |x, y| x + y.scale(3.0)),
                ("difference", |x, y| x - y),
                ("product", |x, y| x * y * x),
                ("quotient", |x, y| x / (y * y).offset(1.0)),
                ("negative", |x, y| -(x * y)),
                ("root", |x, y| (x * x + y * y).sqrt()),
                ("sine", |x, y| (x * y).sin()),
                ("cosine", |x, y| (x + y).cos()),
                ("minimum", |x, y| x.min(y) * x.max(y) * y),
                ("added to", |mut x, y| {
                    x += x * y;
                    x
                }),
            ]
        }
        let (duals, plain) = (functions::<Dual<f64, 2>>(), functions::<f64>());
        for (x, y) in [(0.7, -1.3), (-0.2, 0.4), (2.0, 0.1)] {
            for ((name, dual), (_, plain)) in duals.iter().zip(&plain) {
                let got = dual(Dual::input(x, 0), Dual::input(y, 1));
                let step = 1e-6;
                let by_x = (plain(x + step, y) - plain(x - step, y)) / (2.0 * step);
                let by_y = (plain(x, y + step) - plain(x, y - step)) / (2.0 * step);
                assert_eq!(got.value, plain(x, y), "{name}");
                for (got, expected) in got.tangents.iter().zip([by_x, by_y]) {
                    assert!(
                        (got - expected).abs() < 1e-7,
                        "{name}({x}, {y}): {got} not {expected}"
                    );
                }
            }
        }
    }
}
