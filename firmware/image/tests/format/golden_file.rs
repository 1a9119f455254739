//! The committed files: an accidental change of the format shows here.
//!
//! `ENGRAM_BLESS=1 cargo test -p engram-image` writes them anew; that is right only together with a
//! new format version, or before the first release.

use std::path::Path;
use std::{env, fs};

use engram_image::Image;

use crate::sample;

#[test]
fn the_format_has_not_changed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/format");
    for (name, bytes) in ["age.engram", "slot.engram"]
        .into_iter()
        .zip(sample::files())
    {
        let path = folder.join(name);
        if env::var_os("ENGRAM_BLESS").is_some() {
            fs::write(&path, &bytes).unwrap();
        }
        let committed =
            fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(Image::read(&committed).is_ok(), "{name}");
        assert!(
            committed == bytes,
            "{name}: the writer writes something else than the committed file"
        );
    }
}
