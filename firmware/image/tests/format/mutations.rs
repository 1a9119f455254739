//! Changed structures with the hash recomputed: at every place, and at random.

use engram_image::{CborProblem, Image, ReadError};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::damage::refused_or_canonical;
use crate::sample;
use crate::tree::{Form, Item, PadLie, Value};

fn trees() -> [Item; 2] {
    sample::files().map(|file| Item::parse(&file))
}

/// The tree of this test writes what the writer writes; otherwise it would test nothing.
#[test]
fn the_tree_is_faithful() {
    for (file, tree) in sample::files().into_iter().zip(trees()) {
        assert!(tree.file() == file);
    }
}

/// Applies `change` to every item in turn; wherever it changes something, the file must be refused.
fn refused_everywhere(change: impl Fn(&mut Item)) -> usize {
    let mut changed = 0;
    for tree in trees() {
        let original = tree.file();
        for index in 0..tree.count() {
            let file = tree.with(index, &change).file();
            if file != original {
                let error = Image::read(&file).expect_err(&format!("item {index} was changed"));
                assert!(!error.to_string().is_empty());
                changed += 1;
            }
        }
    }
    changed
}

#[test]
fn forms_that_are_not_canonical() {
    for form in [Form::Longer, Form::Longest, Form::Indefinite] {
        assert!(refused_everywhere(|item| item.form = form) > 300);
    }
}

#[test]
fn other_types_and_tags() {
    for raw in [
        &[0xf6][..],
        &[0xf5],
        &[0xf8, 0x20],
        &[0xff],
        &[0x1c],
        &[0xfc],
        &[0xe0],
    ] {
        assert!(refused_everywhere(|item| item.value = Value::Raw(raw.to_vec())) > 300);
    }
    let tagged = |item: &mut Item| {
        let inner = std::mem::replace(item, Item::new(Value::Unsigned(0)));
        item.value = Value::Tagged(Box::new(inner));
    };
    assert!(refused_everywhere(tagged) > 300);
}

#[test]
fn maps_with_other_keys() {
    type Change = fn(&mut Vec<(Item, Item)>);
    let of_map = |change: Change| {
        move |item: &mut Item| {
            if let Value::Map(entries) = &mut item.value {
                change(entries);
            }
        }
    };
    let changes: [Change; 9] = [
        |entries| entries.swap(0, 1),
        |entries| entries.reverse(),
        |entries| drop(entries.remove(0)),
        |entries| drop(entries.pop()),
        |entries| entries.insert(0, entries[0].clone()),
        |entries| entries.push(entries[0].clone()),
        |entries| entries.push(entries.last().unwrap().clone()),
        |entries| {
            entries.push((
                Item::text("zzzzzzzzzzzzzzzzzzzzzz"),
                Item::new(Value::Unsigned(0)),
            ))
        },
        |entries| entries[0].0 = Item::new(Value::Unsigned(0)),
    ];
    for change in changes {
        assert!(refused_everywhere(of_map(change)) > 20);
    }
}

#[test]
fn arrays_with_other_counts() {
    let of_array = |change: fn(&mut Vec<Item>)| {
        move |item: &mut Item| {
            if let Value::Array(items) = &mut item.value
                && !items.is_empty()
            {
                change(items);
            }
        }
    };
    assert!(refused_everywhere(of_array(|items| drop(items.pop()))) > 10);
    assert!(refused_everywhere(of_array(|items| items.push(items[0].clone()))) > 10);
    assert!(refused_everywhere(of_array(Vec::clear)) > 10);
}

#[test]
fn strings_of_other_lengths() {
    let of_bytes = |change: fn(&mut Vec<u8>)| {
        move |item: &mut Item| {
            if let Value::Bytes(bytes) | Value::Aligned { bytes, .. } = &mut item.value {
                change(bytes);
            }
        }
    };
    assert!(refused_everywhere(of_bytes(|bytes| bytes.push(0))) > 40);
    assert!(refused_everywhere(of_bytes(|bytes| bytes.extend([0; 16]))) > 40);
    assert!(
        refused_everywhere(of_bytes(
            |bytes| bytes.truncate(bytes.len().saturating_sub(1))
        )) > 40
    );
    assert!(refused_everywhere(of_bytes(Vec::clear)) > 40);
}

#[test]
fn pads_that_lie() {
    let lie = |pad| {
        move |item: &mut Item| {
            if let Value::Aligned { pad: of_item, .. } = &mut item.value {
                *of_item = pad;
            }
        }
    };
    for pad in [PadLie::TooLong, PadLie::OneMore, PadLie::NotZero] {
        assert!(refused_everywhere(lie(pad)) > 20);
    }
    let mut tree = trees()[0].clone();
    lie(PadLie::TooLong)(tree.at(&["weights", "embed", "weight"]));
    assert!(matches!(
        Image::read(&tree.file()),
        Err(ReadError::Pad { .. })
    ));
}

#[test]
fn floats_that_are_not_f32_or_not_finite() {
    let of_float = |change: fn(f32) -> Vec<u8>| {
        move |item: &mut Item| {
            if let Value::Float(bytes) = &mut item.value {
                *bytes = change(f32::from_be_bytes(bytes.as_slice().try_into().unwrap()));
            }
        }
    };
    assert!(refused_everywhere(of_float(|_| vec![0x3c, 0])) > 30);
    assert!(refused_everywhere(of_float(|value| f64::from(value).to_be_bytes().to_vec())) > 30);
    for value in [
        f32::NAN,
        -f32::NAN,
        f32::from_bits(0x7f80_0001),
        f32::INFINITY,
        f32::NEG_INFINITY,
    ] {
        for tree in trees() {
            for index in 0..tree.count() {
                let mut is_float = false;
                let file = tree.with(index, |item| {
                    if let Value::Float(bytes) = &mut item.value {
                        is_float = true;
                        *bytes = value.to_be_bytes().to_vec();
                    }
                });
                if is_float {
                    let error = Image::read(&file.file()).unwrap_err();
                    assert!(
                        matches!(error, ReadError::Float { must: "finite", .. }),
                        "{error:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn items_after_the_body() {
    for tree in trees() {
        for trailing in [&[0x00][..], &[0xf6], &[0xff], &[0xa0]] {
            let error = Image::read(&tree.file_with(trailing)).unwrap_err();
            assert!(matches!(error, ReadError::Trailing { .. }), "{error:?}");
        }
    }
}

#[test]
fn problems_are_named() {
    let problem = |change: &dyn Fn(&mut Item)| {
        let mut tree = trees()[0].clone();
        change(tree.at(&["scales", "residual"]));
        match Image::read(&tree.file()).unwrap_err() {
            ReadError::Cbor { problem, .. } => problem,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(
        problem(&|item| item.value = Value::Unsigned(1)),
        CborProblem::Expected("f32")
    );
    assert_eq!(
        problem(&|item| item.value = Value::Float(vec![0x3c, 0])),
        CborProblem::FloatWidth
    );
    assert_eq!(
        problem(&|item| item.value = Value::Raw(vec![0x1c])),
        CborProblem::Syntax
    );
    assert_eq!(
        problem(&|item| item.value = Value::Raw(vec![0x5f])),
        CborProblem::Indefinite
    );
    assert_eq!(
        problem(&|item| item.value = Value::Raw(vec![0x18, 1])),
        CborProblem::NotShortest
    );
    let mut tree = trees()[0].clone();
    *tree.at(&["provenance", "training_return"]) = Item::new(Value::Raw(vec![0xfa, 0, 0]));
    let error = Image::read(&tree.file()).unwrap_err();
    assert!(
        matches!(
            error,
            ReadError::Cbor {
                problem: CborProblem::End,
                ..
            }
        ),
        "{error:?}"
    );
}

#[derive(Clone, Debug)]
enum Mutation {
    Form(Form),
    Number(u64),
    SmallStep(bool),
    Float([u8; 4]),
    Byte(Index, u8),
    Resize(usize),
    Swap(Index, Index),
    Remove(Index),
    Duplicate(Index),
    Raw(Vec<u8>),
    Pad(PadLie),
    CopyOf(Index),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    use Mutation as M;
    let form = prop::sample::select(vec![Form::Longer, Form::Longest, Form::Indefinite]);
    let pad = prop::sample::select(vec![PadLie::TooLong, PadLie::OneMore, PadLie::NotZero]);
    prop_oneof![
        form.prop_map(M::Form),
        any::<u64>().prop_map(M::Number),
        any::<bool>().prop_map(M::SmallStep),
        any::<[u8; 4]>().prop_map(M::Float),
        any::<(Index, u8)>().prop_map(|(place, value)| M::Byte(place, value)),
        (0_usize..64).prop_map(M::Resize),
        any::<(Index, Index)>().prop_map(|(a, b)| M::Swap(a, b)),
        any::<Index>().prop_map(M::Remove),
        any::<Index>().prop_map(M::Duplicate),
        prop::collection::vec(any::<u8>(), 0..12).prop_map(M::Raw),
        pad.prop_map(M::Pad),
        any::<Index>().prop_map(M::CopyOf),
    ]
}

impl Mutation {
    /// Applies it to `item` where it has a meaning there.
    fn apply(&self, item: &mut Item, donor: &Item) {
        match (self, &mut item.value) {
            (Self::Form(form), _) => item.form = *form,
            (Self::Number(value), Value::Unsigned(number)) => *number = *value,
            (Self::SmallStep(up), Value::Unsigned(number)) => {
                *number = if *up {
                    number.wrapping_add(1)
                } else {
                    number.wrapping_sub(1)
                };
            }
            (Self::Float(bits), Value::Float(bytes)) => *bytes = bits.to_vec(),
            (
                Self::Byte(place, value),
                Value::Bytes(bytes) | Value::Text(bytes) | Value::Aligned { bytes, .. },
            ) if !bytes.is_empty() => {
                let place = place.index(bytes.len());
                bytes[place] = *value;
            }
            (
                Self::Resize(length),
                Value::Bytes(bytes) | Value::Text(bytes) | Value::Aligned { bytes, .. },
            ) => {
                bytes.resize(*length, 0);
            }
            (Self::Swap(a, b), Value::Array(items)) if !items.is_empty() => {
                let count = items.len();
                items.swap(a.index(count), b.index(count));
            }
            (Self::Swap(a, b), Value::Map(entries)) => {
                let count = entries.len();
                entries.swap(a.index(count), b.index(count));
            }
            (Self::Remove(place), Value::Array(items)) if !items.is_empty() => {
                items.remove(place.index(items.len()));
            }
            (Self::Remove(place), Value::Map(entries)) if entries.len() > 1 => {
                entries.remove(place.index(entries.len()));
            }
            (Self::Duplicate(place), Value::Array(items)) if !items.is_empty() => {
                items.push(items[place.index(items.len())].clone());
            }
            (Self::Duplicate(place), Value::Map(entries)) => {
                entries.push(entries[place.index(entries.len())].clone())
            }
            (Self::Raw(bytes), _) => item.value = Value::Raw(bytes.clone()),
            (Self::Pad(lie), Value::Aligned { pad, .. }) => *pad = *lie,
            (Self::CopyOf(_), _) => *item = donor.clone(),
            _ => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Up to three changes anywhere: refused, or exactly what the writer writes.
    #[test]
    fn random_changes(which: bool, changes in prop::collection::vec((any::<Index>(), mutation()), 1..4)) {
        let mut tree = trees()[usize::from(which)].clone();
        for (place, mutation) in changes {
            let count = tree.count();
            let donor = match &mutation {
                Mutation::CopyOf(index) => {
                    let mut donor = None;
                    let _ = tree.with(index.index(count), |item| donor = Some(item.clone()));
                    donor
                }
                _ => None,
            };
            let donor = donor.unwrap_or(Item::new(Value::Unsigned(0)));
            tree = tree.with(place.index(count), |item| mutation.apply(item, &donor));
        }
        refused_or_canonical(&tree.file());
    }

    /// Bytes that never were an image.
    #[test]
    fn random_bodies(body in prop::collection::vec(any::<u8>(), 1..200)) {
        let tree = Item::new(Value::Raw(body));
        prop_assert!(Image::read(&tree.file()).is_err());
    }
}
