//! Moves between arrays and registers, written once for all vectors.

/// Functions that load an array of a register's size, or store one: `"what it says of itself" NAME: ARRAY => REGISTER,
/// INTRINSIC`, the stores behind the loads. No intrinsic may need an alignment.
macro_rules! moves {
    (
        $features:literal;
        $($load_doc:literal $load:ident: $from:ty => $loaded:ty, $loads:ident;)*
        stores
        $($store_doc:literal $store:ident: $into:ty => $stored:ty, $stores:ident;)*
    ) => {
        $(
            #[doc = $load_doc]
            #[inline]
            #[target_feature(enable = $features)]
            pub(super) fn $load(from: &$from) -> $loaded {
                const { assert!(size_of::<$from>() == size_of::<$loaded>()) };
                // SAFETY: the array has as many readable bytes as the register; the load needs no alignment.
                unsafe { $loads(from.as_ptr().cast()) }
            }
        )*
        $(
            #[doc = $store_doc]
            #[inline]
            #[target_feature(enable = $features)]
            pub(super) fn $store(into: &mut $into, x: $stored) {
                const { assert!(size_of::<$into>() == size_of::<$stored>()) };
                // SAFETY: the array has as many writable bytes as the register; the store needs no alignment.
                unsafe { $stores(into.as_mut_ptr().cast(), x) }
            }
        )*
    };
}
pub(crate) use moves;
