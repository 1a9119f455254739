//! The boards that a robot's crate may be a firmware of.

use clap::ValueEnum;

/// Whose firmware the crate is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Board {
    /// Crazyflie, Betaflight's F405 boards.
    Stm32f405,
    /// Nucleo-H743ZI2, Pixhawk 6, Matek H743.
    Stm32h743,
    /// A Linux process: Jetson, Raspberry Pi, x86-64.
    Linux,
}

/// What a board with a Cortex-M is called, and what its main file says of it.
struct Part {
    name: &'static str,
    chip: &'static str,
    wiring: &'static str,
    hint: &'static str,
}

/// The target of both parts.
const CORTEX_M: &str = "thumbv7em-none-eabihf";

impl Board {
    /// The folder of its crate under `firmware`, whose name follows from it.
    fn folder(self) -> &'static str {
        match self {
            Self::Stm32f405 => "board-stm32f405",
            Self::Stm32h743 => "board-stm32h743",
            Self::Linux => "board-linux",
        }
    }

    fn part(self) -> Option<Part> {
        match self {
            Self::Stm32f405 => Some(Part {
                name: "STM32F405",
                chip: "STM32F405RGTx",
                wiring: "Betaflight",
                hint: "For the drivers it has `motors`, `spi`, `i2c`, `delay` and `pins`; `Wiring::Crazyflie` is the other map of pins.",
            }),
            Self::Stm32h743 => Some(Part {
                name: "STM32H743",
                chip: "STM32H743ZITx",
                wiring: "Nucleo",
                hint: "For the drivers it has `motors`, `spi`, `select` and `delay`; `Wiring` has the other maps of pins.",
            }),
            Self::Linux => None,
        }
    }

    /// The command that builds the crate for it.
    pub(super) fn build(self) -> String {
        match self {
            Self::Linux => "cargo build --release".to_owned(),
            Self::Stm32f405 | Self::Stm32h743 => {
                format!("cargo build --release --target {CORTEX_M}")
            }
        }
    }

    /// What the manifest says of the program.
    pub(super) fn program(self, name: &str) -> String {
        format!(
            "[lib]\ndoctest = false\n\n[[bin]]\nname = \"{name}\"\npath = \"src/main.rs\"\ntest = false\n\n"
        )
    }

    /// What the manifest says of the board. `depend`: how it depends on a folder of Engram.
    pub(super) fn dependencies(self, depend: impl Fn(&str) -> String) -> String {
        let folder = self.folder();
        let crate_line = format!(
            "engram-{folder} = {}\n",
            depend(&format!("firmware/{folder}"))
        );
        match self {
            Self::Linux => {
                format!("clap = {{ version = \"4\", features = [\"derive\"] }}\n{crate_line}\n")
            }
            Self::Stm32f405 | Self::Stm32h743 => format!(
                "\n# The tests on the host go without the board.\n[target.'cfg(target_os = \"none\")'.dependencies]\n{crate_line}"
            ),
        }
    }

    /// Files beside the library: path and text, places for the robot's names in it.
    pub(super) fn files(self) -> Vec<(&'static str, String)> {
        let Some(part) = self.part() else {
            let program = include_str!("linux.rs.txt");
            return vec![("src/main.rs", program.to_owned())];
        };
        let crate_name = format!("engram_{}", self.folder().replace('-', "_"));
        let firmware = include_str!("cortex_m.rs.txt")
            .replace("@board_crate@", &crate_name)
            .replace("@part@", part.name)
            .replace("@wiring@", part.wiring)
            .replace("@hint@", part.hint);
        let config = include_str!("config.toml.txt").replace("@chip@", part.chip);
        vec![
            ("src/main.rs", firmware),
            ("build.rs", include_str!("build.rs.txt").to_owned()),
            (".cargo/config.toml", config),
        ]
    }
}
