//! A list of fixed capacity that can be built in a `const` and copied.

use core::ops::Deref;

/// What unused places of a [`List`] hold.
pub trait Fill: Copy {
    /// The value of an unused place; never seen through the list's slice.
    const FILL: Self;
}

impl Fill for f32 {
    const FILL: Self = 0.0;
}

impl Fill for u32 {
    const FILL: Self = 0;
}

/// The list holds as many items as its capacity allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Full;

/// Up to `N` items in place; dereferences to the slice of the items present.
///
/// Unlike `heapless::Vec` it is `Copy` and can be filled in a `const`, which contracts need.
#[derive(Clone, Copy)]
pub struct List<T, const N: usize> {
    items: [T; N],
    length: usize,
}

impl<T: Fill, const N: usize> List<T, N> {
    /// The list without items.
    pub const EMPTY: Self = Self {
        items: [T::FILL; N],
        length: 0,
    };

    /// A list of the items of `slice`.
    ///
    /// # Panics
    /// When `slice` holds more than `N` items. Meant for constants, where this is an error of the
    /// compiler; elsewhere use [`List::push`].
    #[must_use]
    pub const fn from_slice(slice: &[T]) -> Self {
        assert!(slice.len() <= N, "more items than the list can hold");
        let mut list = Self::EMPTY;
        while list.length < slice.len() {
            list.items[list.length] = slice[list.length];
            list.length += 1;
        }
        list
    }

    /// Appends `item`.
    ///
    /// # Errors
    /// [`Full`] when `N` items are present.
    pub fn push(&mut self, item: T) -> Result<(), Full> {
        *self.items.get_mut(self.length).ok_or(Full)? = item;
        self.length += 1;
        Ok(())
    }
}

/// The first `N` items; the rest is left out.
impl<T: Fill, const N: usize> FromIterator<T> for List<T, N> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        let mut list = Self::EMPTY;
        for item in items.into_iter().take(N) {
            let _ = list.push(item);
        }
        list
    }
}

impl<T, const N: usize> List<T, N> {
    /// The items present.
    #[must_use]
    pub const fn as_slice(&self) -> &[T] {
        match self.items.split_at_checked(self.length) {
            Some((present, _)) => present,
            None => &[],
        }
    }
}

impl<T, const N: usize> Deref for List<T, N> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        self.as_slice()
    }
}

impl<T: PartialEq, const N: usize> PartialEq for List<T, N> {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl<T: core::fmt::Debug, const N: usize> core::fmt::Debug for List<T, N> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_list().entries(self.as_slice()).finish()
    }
}

impl<'a, T, const N: usize> IntoIterator for &'a List<T, N> {
    type Item = &'a T;
    type IntoIter = core::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.as_slice().iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THREE: List<f32, 3> = List::from_slice(&[1.0, 2.0, 3.0]);

    #[test]
    fn holds_what_was_pushed_and_no_more() {
        let mut list = List::<f32, 3>::EMPTY;
        assert!(list.is_empty());
        for value in [1.0, 2.0, 3.0] {
            assert_eq!(list.push(value), Ok(()));
        }
        assert_eq!(list.push(4.0), Err(Full));
        assert_eq!(list, THREE);
        assert_eq!(&*list, &[1.0, 2.0, 3.0]);
        assert_eq!(THREE, (1..9_u8).map(f32::from).collect());
    }

    #[test]
    fn unused_places_do_not_count() {
        let mut one = List::<u32, 4>::from_slice(&[7]);
        let mut other = List::<u32, 4>::from_slice(&[7, 8]);
        other.length = 1;
        assert_eq!(one, other);
        one.push(9).unwrap();
        assert_ne!(one, other);
    }
}
