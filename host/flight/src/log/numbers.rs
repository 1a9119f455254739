//! Running numbers that should be 0, 1, 2 and so on: which are missing, doubled or out of order.

use std::collections::HashSet;

use super::flaw::{Flaw, FlawKind};
use super::topic;

/// What is wrong with the numbers of one part, in the order of the file.
///
/// `breaks` are places in `numbers` before which something could not be read: what is missing there is damaged.
/// `expected` is how many there should be, where that is known. A number has 32 bits, so that the one after it is one, too.
pub(super) fn flaws(
    part: &str,
    numbers: &[u32],
    breaks: &[usize],
    expected: Option<u32>,
) -> Vec<Flaw> {
    let numbers: Vec<u64> = numbers.iter().copied().map(u64::from).collect();
    let mut seen = HashSet::with_capacity(numbers.len());
    let (mut doubled, mut late) = (Vec::new(), Vec::new());
    let mut next = 0;
    for number in &numbers {
        if !seen.insert(*number) {
            doubled.push(*number);
        } else if *number < next {
            late.push(*number);
        }
        next = next.max(number + 1);
    }
    let count = expected.map_or(next, u64::from);
    let surplus: Vec<u64> = seen
        .iter()
        .copied()
        .filter(|number| *number >= count)
        .collect();
    let mut sorted: Vec<u64> = seen.into_iter().filter(|number| *number < count).collect();
    sorted.sort_unstable();

    let unread: Vec<u64> = breaks
        .iter()
        .map(|place| {
            let before = numbers.get(..*place).unwrap_or(&numbers);
            before.iter().max().map_or(0, |number| number + 1)
        })
        .collect();
    let mut found = Vec::new();
    let mut from = 0;
    for number in sorted.into_iter().chain([count]) {
        if from < number {
            let gap = (from, number - 1);
            let kind = if unread.iter().any(|at| (gap.0..=gap.1).contains(at)) {
                FlawKind::Damaged
            } else {
                FlawKind::Missing
            };
            found.push(named(kind, part, gap));
        }
        from = number + 1;
    }
    for (kind, list) in [
        (FlawKind::Doubled, doubled),
        (FlawKind::Reordered, late),
        (FlawKind::Surplus, surplus),
    ] {
        found.extend(runs(list).into_iter().map(|run| named(kind, part, run)));
    }
    found
}

/// Runs of numbers that follow each other, first and last.
fn runs(mut numbers: Vec<u64>) -> Vec<(u64, u64)> {
    numbers.sort_unstable();
    numbers.dedup();
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => runs.push((number, number)),
        }
    }
    runs
}

fn named(kind: FlawKind, part: &str, (first, last): (u64, u64)) -> Flaw {
    let one = first == last;
    let is = if one { "is" } else { "are" };
    let what = match kind {
        FlawKind::Missing => "missing",
        FlawKind::Doubled => "there more than once",
        FlawKind::Reordered => "out of order",
        FlawKind::Surplus => "more than the log says that it holds",
        _ => "damaged",
    };
    // The steps' own topic needs no naming; events and lines of a log have no steps of their own.
    let (place, thing) = match part {
        topic::STEP => (String::new(), "step"),
        topic::PLANT => (format!("{part}: "), "step"),
        _ => (format!("{part}: "), "record"),
    };
    let which = if one {
        format!("{thing} {first}")
    } else {
        format!("{thing}s {first} to {last}")
    };
    Flaw {
        kind,
        part: part.to_owned(),
        numbers: Some((first, last)),
        text: format!("{place}{which} {is} {what}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(numbers: &[u32], breaks: &[usize], expected: Option<u32>) -> Vec<String> {
        let flaws = flaws(topic::STEP, numbers, breaks, expected);
        flaws.into_iter().map(|flaw| flaw.text).collect()
    }

    #[test]
    fn whole_numbers_have_no_flaw() {
        assert!(texts(&[0, 1, 2], &[], Some(3)).is_empty());
        assert!(texts(&[], &[], Some(0)).is_empty());
        assert!(texts(&[], &[], None).is_empty());
    }

    #[test]
    fn each_flaw_is_named_with_its_numbers() {
        assert_eq!(texts(&[0, 1], &[], Some(5)), ["steps 2 to 4 are missing"]);
        assert_eq!(texts(&[0, 2, 3], &[], None), ["step 1 is missing"]);
        assert_eq!(texts(&[1, 2], &[], Some(3)), ["step 0 is missing"]);
        assert_eq!(
            texts(&[0, 1, 1, 2], &[], Some(3)),
            ["step 1 is there more than once"]
        );
        assert_eq!(
            texts(&[0, 2, 1, 3], &[], Some(4)),
            ["step 1 is out of order"]
        );
        assert_eq!(
            texts(&[0, 3, 4], &[1], Some(5)),
            ["steps 1 to 2 are damaged"]
        );
        assert_eq!(texts(&[0, 1], &[2], Some(4)), ["steps 2 to 3 are damaged"]);
        assert_eq!(
            texts(&[0, 1, 2], &[], Some(2)),
            ["step 2 is more than the log says that it holds"]
        );
        assert_eq!(
            texts(&[0, u32::MAX], &[], Some(u32::MAX)),
            [
                "steps 1 to 4294967294 are missing",
                "step 4294967295 is more than the log says that it holds"
            ]
        );
        let event = flaws(topic::EVENT, &[0], &[], Some(2));
        assert_eq!(event[0].text, "/event: record 1 is missing");
        assert_eq!(
            (event[0].kind, event[0].numbers),
            (FlawKind::Missing, Some((1, 1)))
        );
    }
}
