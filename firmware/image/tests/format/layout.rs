//! The layout of an image gives the same image again, and never more than there is.

use engram_image::{Image, Layout};

use crate::sample;

#[test]
fn a_view_is_the_image() {
    for file in sample::files() {
        let image = Image::read(&file).unwrap();
        let layout = Layout::of(&image, &file).unwrap();
        assert_eq!(layout.view(&file, &image.contract), Some(image));
        assert_eq!(layout.weights_sha256(), image.weights_sha256);
        assert_eq!(layout.total_length(), image.total_length);
        // The same bytes elsewhere, with the rest of a slot behind them.
        let mut slot = file.clone();
        slot.resize(file.len() + 100, 0xff);
        assert_eq!(layout.view(&slot, &image.contract), Some(image));
    }
}

#[test]
fn other_bytes_have_no_layout_and_fewer_no_view() {
    let [file, other] = sample::files();
    let image = Image::read(&file).unwrap();
    assert_eq!(Layout::of(&image, &other), None);
    let layout = Layout::of(&image, &file).unwrap();
    let before_the_version = file.len() - 100;
    assert!(
        layout
            .view(&file[..before_the_version], &image.contract)
            .is_none()
    );
    assert!(layout.view(&[], &image.contract).is_none());
    for length in 0..file.len() {
        let _ = layout.view(&file[..length], &image.contract);
    }
}
