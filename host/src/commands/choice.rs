//! Values of the library's enums on the command line, with the words that describe them there.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use strum::{EnumMessage, IntoEnumIterator};

/// Takes one of `T`'s values by its name.
pub(super) fn choice<T>() -> impl TypedValueParser<Value = T>
where
    T: Copy + EnumMessage + Into<&'static str> + IntoEnumIterator + Send + Sync + 'static,
{
    let values = T::iter().map(|value| {
        let words = value.get_documentation().unwrap_or_default();
        PossibleValue::new(value.into()).help(words.trim_end_matches('.').to_owned())
    });
    PossibleValuesParser::new(values).map(|name| {
        T::iter()
            .find(|value| name == (*value).into())
            .expect("one of the values")
    })
}
