//! The layout of an image gives the same weights again, and never more than there is.

use engram_image::{Image, Layout, Parameters};

use crate::sample;

#[test]
fn a_view_is_what_the_reader_read() {
    for file in sample::files() {
        let image = Image::read(&file).unwrap();
        let layout = Layout::of(&image, &file).unwrap();
        let weights = layout.weights(&file).unwrap();
        assert_eq!(layout.parameters(&weights), Parameters::from(&image));
        assert_eq!(layout.weights_sha256, image.weights_sha256);
        assert_eq!(layout.total_length, image.total_length);
        // The same bytes elsewhere, with the rest of a slot behind them.
        let mut slot = file.clone();
        slot.resize(file.len() + 100, 0xff);
        let weights = layout.weights(&slot).unwrap();
        assert_eq!(layout.parameters(&weights), Parameters::from(&image));
    }
}

#[test]
fn other_bytes_have_no_layout_and_fewer_no_view() {
    let [file, other] = sample::files();
    let image = Image::read(&file).unwrap();
    assert_eq!(Layout::of(&image, &other), None);
    let layout = Layout::of(&image, &file).unwrap();
    let weights = &image.weights;
    let matrices = weights.matrices().map(|(_, rows)| rows.multiplier);
    let tensors = matrices.chain(weights.layers().map(|layer| layer.age_bias));
    let end = |tensor: &[[u8; 4]]| tensor.as_ptr_range().end as usize;
    let last = tensors.map(end).max().unwrap() - file.as_ptr() as usize;
    for length in 0..file.len() {
        let found = layout.weights(&file[..length]);
        assert_eq!(found.is_some(), length >= last, "{length}");
    }
}
