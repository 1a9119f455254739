//! The bench program's lines beside the plugin's: the only reader of both.

use std::collections::BTreeMap;
use std::ops::Range;

use super::emulator::Said;
use super::program::Function;
use super::{BoardCost, KernelCost};

/// What the program found out on `path`; `None` where it or the plugin ended early.
pub(super) fn cost(said: &Said, path: &str, functions: &[Function]) -> Option<BoardCost> {
    let mut counted = said.counts.lines().map(numbers);
    let mut read = Lines {
        path: path.to_owned(),
        ..Lines::default()
    };
    for line in said.text.lines() {
        let mut words = line.split_whitespace();
        match (words.next(), words.next(), words.next()) {
            (Some("path"), Some(path), None) => path.clone_into(&mut read.path),
            (Some("fact"), Some(name), Some(value)) => {
                read.facts.insert(name.to_owned(), value.parse().ok()?);
            }
            (Some("ring"), Some(start), Some(end)) => {
                let address = |text| u64::from_str_radix(text, 16).ok();
                read.rings.push(address(start)?..address(end)?);
            }
            (Some("region"), Some(name), Some(macs)) => {
                let region = (counted.next()??, macs.parse().ok()?);
                read.regions.insert(name.to_owned(), region);
            }
            (Some("end"), None, None) => read.has_ended = true,
            (Some("error"), ..) => return None,
            _ => {}
        }
    }
    read.cost(said, functions)
}

/// Numbers of one line of the plugin.
fn numbers(line: &str) -> Option<Vec<u64>> {
    line.split(' ').map(|number| number.parse().ok()).collect()
}

/// The lines of a bench program, with what the plugin counted in each region.
#[derive(Default)]
struct Lines {
    path: String,
    facts: BTreeMap<String, u64>,
    /// What the plugin counted, and the multiply-accumulates.
    regions: BTreeMap<String, (Vec<u64>, u64)>,
    rings: Vec<Range<u64>>,
    has_ended: bool,
}

impl Lines {
    fn cost(mut self, said: &Said, functions: &[Function]) -> Option<BoardCost> {
        if !self.has_ended {
            return None;
        }
        // An empty region costs what the marks cost.
        let marks = *self.regions.remove("nothing")?.0.first()?;
        let in_full = self.regions.get("step_full")?.0.iter().skip(1);
        let names = functions.iter().map(|function| function.name.clone());
        let mut spent = BTreeMap::new();
        for (name, &count) in names.zip(in_full).filter(|(_, count)| **count > 0) {
            *spent.entry(name).or_default() += count;
        }
        let mut cost = BoardCost {
            functions: spent,
            ..BoardCost::default()
        };
        for (name, (counts, macs)) in &self.regions {
            let instructions = counts.first()?.checked_sub(marks)?;
            if let Some(step) = name.strip_prefix("step_") {
                cost.steps.insert(step.to_owned(), instructions);
                continue;
            }
            if let Some(step) = name.strip_prefix("control_") {
                cost.control_steps.insert(step.to_owned(), instructions);
                continue;
            }
            let kernel = KernelCost {
                instructions,
                instructions_per_mac: (*macs > 0).then(|| instructions as f64 / *macs as f64),
            };
            cost.kernels.insert(name.clone(), kernel);
        }
        let fact = |name: &str| self.facts.get(name).copied();
        let full = *cost.steps.get("full")?;
        let (memory_bytes, packed_bytes) = (fact("memory_bytes")?, fact("packed_bytes"));
        let asked_for = memory_bytes + packed_bytes.unwrap_or(0);
        Some(BoardCost {
            path: self.path,
            instructions_per_step: full,
            instructions_per_mac: full as f64 / fact("macs")? as f64,
            counted_macs: fact("counted_macs"),
            ram_bytes: fact("static_bytes").unwrap_or(asked_for),
            stack_bytes: fact("stack_bytes"),
            state_bytes: fact("state_bytes")?,
            touched_bytes: touched_bytes(&said.touched, &self.rings)?,
            memory_bytes,
            packed_bytes,
            image_bytes: fact("image_bytes")?,
            cases_checked: fact("cases_checked"),
            words_hash: fact("words_hash")?,
            ..cost
        })
    }
}

/// How many bytes of the rings lie in the stretches that were touched.
fn touched_bytes(touched: &str, rings: &[Range<u64>]) -> Option<u64> {
    let mut bytes = 0;
    for line in touched.lines() {
        let (low, high) = line.split_once(' ')?;
        let low = u64::from_str_radix(low, 16).ok()?;
        let high = u64::from_str_radix(high, 16).ok()?;
        bytes += rings
            .iter()
            .map(|ring| high.min(ring.end).saturating_sub(low.max(ring.start)))
            .sum::<u64>();
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "region nothing 0\nfact macs 100\nfact image_bytes 9\nregion step_empty 100\nregion step_full 100\nregion control_full 0\n\
        ring a0 b0\nring c0 d0\nfact state_bytes 8\nfact words_hash 7\nfact stack_bytes 5\nfact static_bytes 6\n\
        fact memory_bytes 4\nregion tanh_64 0\nregion matrix 20\nfact cases_checked 3\nend\n";

    fn said(text: &str, counts: &str) -> Said {
        Said {
            text: text.to_owned(),
            counts: counts.to_owned(),
            touched: "10 a4\nae b2\nc1 c4\nd0 e0\n".to_owned(),
        }
    }

    #[test]
    fn lines_and_counts_go_together() {
        let cost = cost(&said(TEXT, "2\n52\n62\n72\n12\n12\n"), "rows", &[]).expect("complete");
        assert_eq!(cost.path, "rows");
        assert_eq!(cost.instructions_per_step, 60);
        assert!((cost.instructions_per_mac - 0.6).abs() < 1e-9);
        assert_eq!(cost.steps["empty"], 50);
        assert_eq!(cost.control_steps["full"], 70);
        assert_eq!(cost.kernels["tanh_64"].instructions, 10);
        assert_eq!(cost.kernels["matrix"].instructions_per_mac, Some(0.5));
        assert_eq!(
            (cost.ram_bytes, cost.stack_bytes, cost.state_bytes),
            (6, Some(5), 8)
        );
        assert_eq!(
            (cost.touched_bytes, cost.cases_checked),
            (4 + 2 + 3, Some(3))
        );
    }

    #[test]
    fn a_linux_program_has_neither_static_memory_nor_a_stack_of_its_own() {
        let text = TEXT.replace("fact stack_bytes 5\nfact static_bytes 6\n", "");
        let text = format!("path sdot\nfact packed_bytes 30\n{text}");
        let cost = cost(&said(&text, "2\n52\n62\n72\n12\n12\n"), "neon", &[]).expect("complete");
        assert_eq!((cost.ram_bytes, cost.stack_bytes), (34, None));
        assert_eq!(cost.path, "sdot");
    }

    #[test]
    fn functions_of_a_full_step_are_added_up_by_name() {
        let function = |name: &str| Function {
            name: name.to_owned(),
            low: 0,
            high: 1,
        };
        let functions = [function("a"), function("b"), function("a")];
        let counts = "2 0 0 0\n52 9 9 9\n62 20 0 30\n72 2 2 2\n12 1 1 1\n12 1 1 1\n";
        let cost = cost(&said(TEXT, counts), "rows", &functions).expect("complete");
        assert_eq!(cost.functions, [("a".to_owned(), 50)].into());
    }

    #[test]
    fn what_ended_early_is_no_result() {
        let early = |text: &str, counts: &str| cost(&said(text, counts), "rows", &[]);
        assert_eq!(early(TEXT, "2\n52\n62\n"), None);
        assert_eq!(
            early(&TEXT.replace("end\n", ""), "2\n52\n62\n72\n12\n12\n"),
            None
        );
        let failed = format!("{TEXT}error a kernel is wrong\n");
        assert_eq!(early(&failed, "2\n52\n62\n72\n12\n12\n"), None);
    }
}
