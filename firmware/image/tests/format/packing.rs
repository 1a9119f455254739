//! Packed images: the same policy in another order.

use engram_image::header::{FLAG_CORTEX_M, Header};
use engram_image::write::{ImageSpec, WriteError, in_rows, write, write_packed};
use engram_image::{Image, MatrixName, Packing, ReadError};

use crate::sample;
use crate::tree::rehash;

/// An image in each packing.
fn written(spec: &ImageSpec<'_>) -> [Vec<u8>; 2] {
    [Packing::Rows, Packing::CortexM].map(|packing| write_packed(spec, packing).unwrap())
}

#[test]
fn packing_changes_the_order_and_nothing_else() {
    for spec in [sample::age(), sample::slot()] {
        let [rows, packed] = written(&spec);
        assert_eq!(Header::read(&packed).unwrap().packing, Packing::CortexM);
        let (plain, image) = (Image::read(&rows).unwrap(), Image::read(&packed).unwrap());
        assert_eq!(
            (plain.packing, image.packing),
            (Packing::Rows, Packing::CortexM)
        );
        assert_eq!(image.weights_sha256, plain.weights_sha256);
        assert_eq!((image.bounds, image.golden), (plain.bounds, plain.golden));
        assert_eq!(ImageSpec::from(&image), spec);
        for (_, matrix) in image.weights.matrices() {
            assert_eq!(matrix.weight.len() % 32, 0);
        }
    }
}

/// A flag that does not belong to the body is noticed: tensors have other lengths, or other numbers.
#[test]
fn the_flag_must_be_that_of_the_body() {
    for (packing, flags) in [(Packing::CortexM, 0), (Packing::Rows, FLAG_CORTEX_M)] {
        let mut bytes = write_packed(&sample::age(), packing).unwrap();
        bytes[10..12].copy_from_slice(&flags.to_le_bytes());
        assert!(Image::read(&bytes).is_err());
    }
}

#[test]
fn what_fills_up_must_be_zero() {
    let [_, bytes] = written(&sample::age());
    let image = Image::read(&bytes).unwrap();
    let mut seen = 0;
    for matrix in image.matrices() {
        let (name, columns, matrix) = (matrix.name, matrix.columns, matrix.rows);
        let start = matrix.weight.as_ptr() as usize - bytes.as_ptr() as usize;
        // The last byte belongs to the last column of the last row, filled up.
        if matrix.rows.is_multiple_of(4) && columns.is_multiple_of(8) {
            continue;
        }
        let mut damaged = bytes.clone();
        damaged[start + matrix.weight.len() - 1] = 1;
        rehash(&mut damaged);
        let error = Image::read(&damaged).unwrap_err();
        assert!(
            matches!(error, ReadError::Packing { matrix, .. } if matrix == name),
            "{error}"
        );
        seen += 1;
    }
    assert!(seen > 0);
}

#[test]
fn a_row_that_does_not_fit_is_named() {
    let mut spec = sample::age();
    spec.weights.head.second.requant[1].shift = 24;
    assert!(write(&spec).is_ok());
    let refused = WriteError::Refused(ReadError::Packing {
        matrix: MatrixName::Second,
        row: 1,
    });
    assert_eq!(write_packed(&spec, Packing::CortexM), Err(refused));
}

#[test]
fn unpacking_gives_the_rows_back() {
    let [rows, packed] = written(&sample::age());
    assert_eq!(in_rows(packed).unwrap(), rows);
    assert_eq!(in_rows(rows.clone()).unwrap(), rows);
    assert!(in_rows(rows[1..].to_vec()).is_err());
}
