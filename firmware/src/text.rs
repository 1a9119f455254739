//! Texts that travel over the link, as long as its messages have room for.

use core::fmt::{self, Display, Write};
use heapless::String;

/// As many characters of `text` as fit.
pub(crate) fn cut<const N: usize>(text: &dyn Display) -> String<N> {
    let mut room = Room(String::new());
    // A text that is too long is cut; nothing else can fail.
    let _ = write!(room, "{text}");
    room.0
}

struct Room<const N: usize>(String<N>);

impl<const N: usize> Write for Room<N> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            self.0.push(character).map_err(|_| fmt::Error)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_between_two_characters() {
        assert_eq!(cut::<6>(&"short"), "short");
        assert_eq!(cut::<6>(&"a rope"), "a rope");
        assert_eq!(cut::<6>(&"länger"), "länge");
        assert_eq!(cut::<6>(&format_args!("{}{}", "two ", "pieces")), "two pi");
    }
}
