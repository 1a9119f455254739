//! Changed structures with the hash recomputed: at every place, and at random.

use engram_image::Image;
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

/// What is done to an item, where it has a meaning there.
type Change = Box<dyn Fn(&mut Item)>;

fn form(form: Form) -> Change {
    Box::new(move |item| item.form = form)
}

fn raw(bytes: &'static [u8]) -> Change {
    Box::new(move |item| item.value = Value::Raw(bytes.to_vec()))
}

fn map(change: fn(&mut Vec<(Item, Item)>)) -> Change {
    Box::new(move |item| match &mut item.value {
        Value::Map(entries) if !entries.is_empty() => change(entries),
        _ => {}
    })
}

fn array(change: fn(&mut Vec<Item>)) -> Change {
    Box::new(move |item| match &mut item.value {
        Value::Array(items) if !items.is_empty() => change(items),
        _ => {}
    })
}

/// Text is no string here: another one may be allowed.
fn string(change: fn(&mut Vec<u8>)) -> Change {
    Box::new(move |item| match &mut item.value {
        Value::Bytes(bytes) | Value::Aligned { bytes, .. } => change(bytes),
        _ => {}
    })
}

fn pad(lie: PadLie) -> Change {
    Box::new(move |item| {
        if let Value::Aligned { pad, .. } = &mut item.value {
            *pad = lie;
        }
    })
}

fn float(change: fn(f32) -> Value) -> Change {
    Box::new(move |item| {
        if let Value::Float(value) = item.value {
            item.value = change(value);
        }
    })
}

/// Changes that are refused wherever they change something, each with a number of places that it changes at least.
fn changes() -> Vec<(usize, Change)> {
    let narrow = |_| Value::Raw(vec![0xf9, 0x3c, 0]);
    let wide = |value| Value::Raw([&[0xfb][..], &f64::from(value).to_be_bytes()].concat());
    vec![
        (300, form(Form::Longer)),
        (300, form(Form::Longest)),
        (300, form(Form::Indefinite)),
        (300, form(Form::Tagged)),
        (300, raw(&[0xf6])),
        (300, raw(&[0xf5])),
        (300, raw(&[0xf8, 0x20])),
        (300, raw(&[0xff])),
        (300, raw(&[0x1c])),
        (300, raw(&[0xfc])),
        (300, raw(&[0xe0])),
        (20, map(|entries| entries.swap(0, 1))),
        (20, map(|entries| entries.reverse())),
        (20, map(|entries| drop(entries.remove(0)))),
        (20, map(|entries| drop(entries.pop()))),
        (20, map(|entries| entries.insert(0, entries[0].clone()))),
        (20, map(|entries| entries.push(entries[0].clone()))),
        (20, map(|entries| entries.extend(entries.last().cloned()))),
        (20, map(|entries| entries.push(unknown()))),
        (20, map(|entries| entries[0].0 = unknown().1)),
        (10, array(|items| drop(items.pop()))),
        (10, array(|items| items.push(items[0].clone()))),
        (10, array(Vec::clear)),
        (40, string(|bytes| bytes.push(0))),
        (40, string(|bytes| bytes.extend([0; 16]))),
        (40, string(|bytes| bytes.truncate(bytes.len().max(1) - 1))),
        (40, string(Vec::clear)),
        (20, pad(PadLie::TooLong)),
        (20, pad(PadLie::OneMore)),
        (20, pad(PadLie::NotZero)),
        (30, float(narrow)),
        (30, float(wide)),
        (30, float(|_| Value::Float(f32::NAN))),
        (30, float(|_| Value::Float(-f32::NAN))),
        (30, float(|_| Value::Float(f32::from_bits(0x7f80_0001)))),
        (30, float(|_| Value::Float(f32::INFINITY))),
        (30, float(|_| Value::Float(f32::NEG_INFINITY))),
    ]
}

/// A key that no map has, and a number.
fn unknown() -> (Item, Item) {
    let key = Value::text("zzzzzzzzzzzzzzzzzzzzzz");
    (Item::new(key), Item::new(Value::Unsigned(0)))
}

#[test]
fn changes_are_refused_everywhere() {
    for (number, (least, change)) in changes().into_iter().enumerate() {
        let mut changed = 0;
        for tree in trees() {
            let original = tree.file();
            for index in 0.. {
                let mut tree = tree.clone();
                let Some(item) = tree.nth(&mut index.clone()) else {
                    break;
                };
                change(item);
                let file = tree.file();
                if file != original {
                    let refused = Image::read(&file);
                    let error = refused.expect_err(&format!("change {number} of item {index}"));
                    assert!(!error.to_string().is_empty());
                    changed += 1;
                }
            }
        }
        assert!(changed > least, "change {number} changes {changed} items");
    }
}

/// What may be right: another number, byte or length, another order, an item less or more.
fn edit(item: &mut Item, random: u64) {
    let place = |count: usize| (random >> 8) as usize % count.max(1);
    if let Some(bytes) = item.value.bytes() {
        let at = place(bytes.len());
        return match bytes.get_mut(at) {
            Some(byte) if random.is_multiple_of(2) => *byte = (random >> 40) as u8,
            _ => bytes.resize(place(64), 0),
        };
    }
    match (&mut item.value, random % 4) {
        (Value::Unsigned(number), 0) => *number = number.wrapping_add(1),
        (Value::Unsigned(number), 1) => *number = number.wrapping_sub(1),
        (Value::Unsigned(number), _) => *number = random,
        (Value::Float(value), _) => *value = f32::from_bits((random >> 32) as u32),
        (Value::Array(items), kind) if !items.is_empty() => list(items, place(items.len()), kind),
        (Value::Map(entries), kind) if !entries.is_empty() => {
            list(entries, place(entries.len()), kind)
        }
        _ => {}
    }
}

fn list<T: Clone>(items: &mut Vec<T>, place: usize, kind: u64) {
    match kind {
        0 => drop(items.remove(place)),
        1 => items.push(items[place].clone()),
        _ => items.swap(0, place),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Up to three changes anywhere, of those above, of what may be right, or an item of another place: refused, or
    /// exactly what the writer writes.
    #[test]
    fn random_changes(
        which: bool,
        changes_at in prop::collection::vec((0_usize..350, 0..3, any::<Index>(), any::<u64>()), 1..4),
    ) {
        let changes = changes();
        let mut tree = trees()[usize::from(which)].clone();
        for (mut place, kind, index, random) in changes_at {
            let mut donor = index.index(350);
            let donor = tree.nth(&mut donor).cloned();
            let Some(item) = tree.nth(&mut place) else { continue };
            match (kind, donor) {
                (0, _) => index.get(&changes).1(item),
                (1, Some(donor)) => *item = donor,
                _ => edit(item, random),
            }
        }
        refused_or_canonical(&tree.file());
    }

    /// Bytes that never were an image, also where an item of one is due.
    #[test]
    fn random_bodies(body in prop::collection::vec(any::<u8>(), 1..200), mut place in 0_usize..350) {
        let tree = Item::new(Value::Raw(body.clone()));
        prop_assert!(Image::read(&tree.file()).is_err());
        let mut tree = trees()[0].clone();
        if let Some(item) = tree.nth(&mut place) {
            item.value = Value::Raw(body);
        }
        refused_or_canonical(&tree.file());
    }
}
