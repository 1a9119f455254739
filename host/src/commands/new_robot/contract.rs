//! `contract.rs` of the crate: the robot's contract as Rust.

use std::fmt::Write as _;
use std::path::Path;

use engram_image::{Contract, Reward};

/// The contract as a constant.
pub(super) fn text(name: &str, contract: &Contract<'_>, file: &Path) -> String {
    let mut text = format!(
        "//! What {name} and every policy that may move it agree on: the contract of {}.\n//!\n\
         //! The board refuses an image whose contract differs in any name, unit, order, range or the period. Change the robot's file, train \
         on it,\n//! and write this file anew; the test in `tests.rs` says whether both are the same.\n\n\
         use engram_image::{{ActionChannel, Channel, Contract, List, {}Reward}};\n\n\
         /// Channels, period and reward of the robot.\n\
         pub const CONTRACT: Contract<'static> = Contract {{\n    period_us: {},\n    observations: List::from_slice(&[\n",
        file.file_name().unwrap_or_default().to_string_lossy(),
        match contract.reward {
            Reward::External => "",
            Reward::Formula(_) => "QuadraticReward, ",
        },
        contract.period_us
    );
    for channel in &contract.observations {
        let _ = writeln!(
            text,
            "        Channel::new({:?}, {:?}, [{:?}, {:?}]),",
            channel.name, channel.unit, channel.min, channel.max
        );
    }
    text += "    ]),\n    actions: List::from_slice(&[\n";
    for channel in &contract.actions {
        let _ = writeln!(
            text,
            "        ActionChannel::new({:?}, {:?}, [{:?}, {:?}]).with_slew_per_s({:?}).with_safe({:?}),",
            channel.name, channel.unit, channel.min, channel.max, channel.slew_per_s, channel.safe
        );
    }
    text += "    ]),\n";
    let _ = match &contract.reward {
        Reward::External => writeln!(text, "    reward: Reward::External,"),
        Reward::Formula(formula) => writeln!(
            text,
            "    reward: Reward::Formula(QuadraticReward {{\n        constant: {:?},\n        linear: List::from_slice(&{:?}),\n        \
             quadratic: List::from_slice(&{:?}),\n        action_quadratic: List::from_slice(&{:?}),\n    }}),",
            formula.constant,
            formula.linear.as_slice(),
            formula.quadratic.as_slice(),
            formula.action_quadratic.as_slice()
        ),
    };
    text += "};\n";
    text
}
