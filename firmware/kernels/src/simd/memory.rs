//! Moves between arrays and registers, written once for all vectors.

/// Functions that load numbers of a register's size, or store them: `"what it says of itself" NAME: TYPE => REGISTER,
/// INTRINSIC`, the stores behind the loads. No intrinsic may need more alignment than the type has.
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
                // SAFETY: there are as many readable bytes as the register has, aligned as the load needs it.
                unsafe { $loads(core::ptr::from_ref(from).cast()) }
            }
        )*
        $(
            #[doc = $store_doc]
            #[inline]
            #[target_feature(enable = $features)]
            pub(super) fn $store(into: &mut $into, x: $stored) {
                const { assert!(size_of::<$into>() == size_of::<$stored>()) };
                // SAFETY: there are as many writable bytes as the register has, aligned as the store needs it.
                unsafe { $stores(core::ptr::from_mut(into).cast(), x) }
            }
        )*
    };
}
pub(crate) use moves;
