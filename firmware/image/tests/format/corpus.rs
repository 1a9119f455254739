//! Replays the corpus of the fuzz target (`scripts/fuzz image`).

use std::fs;
use std::path::Path;

use crate::damage::refused_or_canonical;
use crate::tree::rehash;

#[test]
fn the_corpus_is_refused_or_canonical() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let (mut accepted, mut refused) = (0, 0);
    for entry in fs::read_dir(&folder).unwrap() {
        let mut file = fs::read(entry.unwrap().path()).unwrap();
        rehash(&mut file);
        match refused_or_canonical(&file) {
            Some(_) => refused += 1,
            None => accepted += 1,
        }
    }
    assert!(
        accepted >= 2 && refused >= 10,
        "{accepted} accepted, {refused} refused"
    );
}
