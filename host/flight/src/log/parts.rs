//! What a log holds, counted and digested: the same sums while it is written and while it is read.

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::topic;

/// The last record of a log: what the log holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct End {
    /// Control steps in the log.
    pub(super) steps: u64,
    /// Every part: the topics, the description, the summary and the image.
    pub(super) parts: Vec<Part>,
    /// SHA-256 over the parts' names, counts and digests, hexadecimal.
    pub(super) sha256: String,
}

/// One part of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Part {
    /// Its name.
    pub(super) name: String,
    /// Records in it.
    pub(super) count: u64,
    /// SHA-256 over its records in their order, each led by its length (u64, little endian); hexadecimal.
    pub(super) sha256: String,
}

/// The sums of a log's parts.
#[derive(Debug, Clone, Default)]
pub(super) struct Parts {
    sums: BTreeMap<String, (u64, Sha256)>,
}

impl Parts {
    /// Takes the next record of a part.
    pub(super) fn add(&mut self, name: &str, record: &[u8]) {
        if !self.sums.contains_key(name) {
            self.sums.insert(name.to_owned(), Default::default());
        }
        if let Some((count, sum)) = self.sums.get_mut(name) {
            *count += 1;
            sum.update((record.len() as u64).to_le_bytes());
            sum.update(record);
        }
    }

    /// Records of a part so far.
    pub(super) fn count(&self, name: &str) -> u64 {
        self.sums.get(name).map_or(0, |(count, _)| *count)
    }

    /// The last record for what has been taken.
    pub(super) fn end(&self) -> End {
        let parts = self
            .sums
            .iter()
            .map(|(name, (count, sum))| Part {
                name: name.clone(),
                count: *count,
                sha256: hex::encode(sum.clone().finalize()),
            })
            .collect();
        let mut end = End {
            steps: self.count(topic::STEP),
            parts,
            sha256: String::new(),
        };
        end.sha256 = end.digest();
        end
    }
}

impl End {
    /// What [`End::sha256`] must be.
    pub(super) fn digest(&self) -> String {
        let mut sum = Sha256::new();
        sum.update(self.steps.to_le_bytes());
        for part in &self.parts {
            sum.update(format!("{} {} {}\n", part.name, part.count, part.sha256));
        }
        hex::encode(sum.finalize())
    }

    /// Why it cannot be what a log says at its end, whatever the digest; `None` where it can.
    pub(super) fn contradiction(&self) -> Option<String> {
        if let Some(part) = self
            .parts
            .iter()
            .find(|part| u32::try_from(part.count).is_err())
        {
            return Some(format!(
                "{} records of {} are more than any log holds",
                part.count, part.name
            ));
        }
        let names: HashSet<&str> = self.parts.iter().map(|part| part.name.as_str()).collect();
        if names.len() < self.parts.len() {
            return Some("it counts a part twice".to_owned());
        }
        let steps = self.count(topic::STEP);
        (self.steps != u64::from(steps)).then(|| {
            let (part, told) = (topic::STEP, self.steps);
            format!("it tells of {told} steps and counts {steps} records of {part}")
        })
    }

    /// Records of the part of that name; 0 where there is none.
    pub(super) fn count(&self, name: &str) -> u32 {
        let count = self.part(name).map_or(0, |part| part.count);
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// The part of that name.
    pub(super) fn part(&self, name: &str) -> Option<&Part> {
        self.parts.iter().find(|part| part.name == name)
    }
}
