//! The boards by name: what each is, whether it can be used here, and how to get at it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use engram_image::Packing;
use engram_kernels::KvLayout;
use sha2::{Digest as _, Sha256};

/// A board by the name that commands, docs and tests share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BoardName {
    /// The portable controller in this process, behind real frames.
    Loopback,
    /// A Cortex-M7 in QEMU (machine mps2-an500).
    QemuM7,
    /// A Cortex-M55 in QEMU (machine mps3-an547).
    QemuM55,
    /// The firmware of the STM32F405 in QEMU (machine netduinoplus2).
    QemuF405,
    /// The Linux board, built for aarch64, under qemu-aarch64.
    QemuLinux,
    /// The Linux board in real time on a whole machine in QEMU, with a PREEMPT_RT kernel.
    QemuLinuxRt,
    /// The Linux board as a process of this machine.
    Linux,
}

/// A name that no board has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "no board is called {name:?}{}; there are loopback, qemu-m7, qemu-m55, qemu-f405, qemu-linux, qemu-linux-rt and linux (`engram boards` lists them; --port reaches a board on a serial line)",
    renamed(name)
)]
pub struct UnknownBoard {
    /// The name in question.
    pub name: String,
}

/// What a board is called now that had another name once, or that only a part has.
fn renamed(name: &str) -> &'static str {
    match name {
        "jetson" => " any more: it is linux",
        "qemu-jetson" => " any more: it is qemu-linux",
        "stm32f405" => {
            " here: its firmware starts in QEMU as qemu-f405, and a part is reached by --port"
        }
        _ => "",
    }
}

impl BoardName {
    /// Every board, in the order of `engram boards`.
    pub const ALL: [Self; 7] = [
        Self::Loopback,
        Self::QemuM7,
        Self::QemuM55,
        Self::QemuF405,
        Self::QemuLinux,
        Self::QemuLinuxRt,
        Self::Linux,
    ];

    /// The name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Loopback => "loopback",
            Self::QemuM7 => "qemu-m7",
            Self::QemuM55 => "qemu-m55",
            Self::QemuF405 => "qemu-f405",
            Self::QemuLinux => "qemu-linux",
            Self::QemuLinuxRt => "qemu-linux-rt",
            Self::Linux => "linux",
        }
    }

    /// What it is, in one line.
    #[must_use]
    pub const fn summary(self) -> &'static str {
        match self {
            Self::Loopback => "the controller in this process, behind real frames",
            Self::QemuM7 => "Cortex-M7 firmware in QEMU (mps2-an500)",
            Self::QemuM55 => "Cortex-M55 firmware in QEMU (mps3-an547)",
            Self::QemuF405 => "firmware of the STM32F405 in QEMU (netduinoplus2)",
            Self::QemuLinux => "the Linux board for aarch64, under qemu-aarch64",
            Self::QemuLinuxRt => {
                "the Linux board in real time, on a whole machine in QEMU (virt, PREEMPT_RT)"
            }
            Self::Linux => "the Linux board as a process of this machine",
        }
    }

    /// In which order its kernels want the weights to lie in an image. Boards of Linux pack them for themselves.
    #[must_use]
    pub const fn packing(self) -> Packing {
        match self {
            Self::QemuM7 | Self::QemuF405 => Packing::CortexM,
            Self::Loopback | Self::QemuM55 | Self::QemuLinux | Self::QemuLinuxRt | Self::Linux => {
                Packing::Rows
            }
        }
    }

    /// How its kernels lay out keys and values, of an image in the packing that is its own; `None`: as the processor's best path
    /// does ([`engram_firmware::policy::Policy::state_bytes`]).
    #[must_use]
    pub const fn kv_layout(self) -> Option<KvLayout> {
        match self {
            Self::QemuM7 | Self::QemuF405 => Some(KvLayout::CORTEX_M7),
            Self::QemuM55 => Some(KvLayout::CORTEX_M55),
            Self::Loopback | Self::QemuLinux | Self::QemuLinuxRt | Self::Linux => None,
        }
    }

    /// The program that runs the board, where it is not the board itself.
    #[must_use]
    pub const fn emulator(self) -> Option<&'static str> {
        match self {
            Self::QemuM7 | Self::QemuM55 | Self::QemuF405 => Some("qemu-system-arm"),
            Self::QemuLinux => Some("qemu-aarch64"),
            Self::QemuLinuxRt => Some("qemu-system-aarch64"),
            Self::Loopback | Self::Linux => None,
        }
    }

    /// File name of the firmware that `scripts/build-boards` leaves, and what builds it.
    #[must_use]
    pub const fn firmware(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Loopback => None,
            Self::QemuM7 => Some(("engram-qemu-m7.elf", "scripts/build-boards mps2")),
            Self::QemuM55 => Some(("engram-qemu-m55.elf", "scripts/build-boards mps3")),
            Self::QemuF405 => Some(("engram-stm32f405.elf", "scripts/build-boards f405")),
            Self::QemuLinux | Self::QemuLinuxRt => {
                Some(("engram-board-linux-aarch64", "scripts/build-boards linux"))
            }
            Self::Linux => Some(("engram-board-linux", "scripts/build-boards linux-native")),
        }
    }
}

impl fmt::Display for BoardName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for BoardName {
    type Err = UnknownBoard;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|board| board.name() == name)
            .ok_or_else(|| UnknownBoard {
                name: name.to_owned(),
            })
    }
}

/// What counts the instructions of a board.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bench {
    /// The program that QEMU runs.
    pub program: PathBuf,
    /// QEMU's plugin that counts.
    pub plugin: PathBuf,
    /// QEMU's machine, and where the program expects the image; none for a Linux program, which reads the image's file.
    pub machine: Option<(&'static str, u32)>,
}

/// What a board needs and this machine lacks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Missing {
    /// The emulator is not installed.
    #[error("board {board} needs {program}, which is not installed: run scripts/set-up")]
    Program {
        /// The board.
        board: BoardName,
        /// The program.
        program: String,
    },
    /// The firmware is not built.
    #[error(
        "board {board} needs its firmware {file}, which is not there: run {command} (looked in {looked}; ENGRAM_BOARDS_DIR names another folder)"
    )]
    Firmware {
        /// The board.
        board: BoardName,
        /// The file's name.
        file: String,
        /// What builds it.
        command: String,
        /// Where it was looked for.
        looked: String,
    },
    /// The saved machine holds something older, or newer, than what is built.
    #[error(
        "board {board}: its saved machine was not made of the present {}, which would go untested: run {MAKES_MACHINE}", part.display()
    )]
    Stale {
        /// The board.
        board: BoardName,
        /// What is another now.
        part: PathBuf,
    },
}

/// What saves the machine of `qemu-linux-rt`.
const MAKES_MACHINE: &str = "scripts/build-boards linux-rt";

impl BoardName {
    /// Finds the emulator on the search path; `None` where the board needs none.
    ///
    /// # Errors
    /// [`Missing::Program`].
    pub fn find_emulator(self) -> Result<Option<PathBuf>, Missing> {
        let Some(program) = self.emulator() else {
            return Ok(None);
        };
        std::env::var_os("PATH")
            .and_then(|path| {
                std::env::split_paths(&path)
                    .map(|folder| folder.join(program))
                    .find(|file| file.is_file())
            })
            .map(Some)
            .ok_or_else(|| Missing::Program {
                board: self,
                program: program.to_owned(),
            })
    }

    /// Finds the firmware file for a robot; `None` where the board needs none.
    ///
    /// # Errors
    /// [`Missing::Firmware`] says where it looked and what builds it.
    pub fn find_firmware(self) -> Result<Option<PathBuf>, Missing> {
        self.firmware()
            .map(|(file, command)| self.find_file(file, command))
            .transpose()
    }

    /// Finds the saved state of the machine that the board is a process on; `None` where it is none, or runs on this one.
    ///
    /// # Errors
    /// [`Missing::Firmware`] says where it looked and what makes it; [`Missing::Stale`] that it was made of another program than
    /// [`BoardName::find_firmware`] finds, or by another first process than that of the source tree, where there is one.
    pub fn find_machine(self) -> Result<Option<PathBuf>, Missing> {
        if self != Self::QemuLinuxRt {
            return Ok(None);
        }
        let command = format!("scripts/set-up --linux-rt and {MAKES_MACHINE}");
        let state = self.find_file("engram-qemu-linux-rt.state", &command)?;
        let init = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../firmware/board-linux/machine/init"
        );
        let init = Some(PathBuf::from(init)).filter(|init| init.is_file());
        match (self.find_firmware()?.into_iter().chain(init)).find(|part| !is_in(part, &state)) {
            Some(part) => Err(Missing::Stale { board: self, part }),
            None => Ok(Some(state)),
        }
    }

    /// Finds a file that `command` builds for this board.
    fn find_file(self, file: &str, command: &str) -> Result<PathBuf, Missing> {
        let folders = firmware_folders();
        folders
            .iter()
            .map(|folder| folder.join(file))
            .find(|path| path.is_file())
            .ok_or_else(|| Missing::Firmware {
                board: self,
                file: file.to_owned(),
                command: command.to_owned(),
                looked: folders
                    .iter()
                    .map(|folder| folder.display().to_string())
                    .collect::<Vec<_>>()
                    .join(", "),
            })
    }

    /// Finds what counts this board's instructions; `None` where nothing does.
    ///
    /// # Errors
    /// [`Missing::Firmware`] says where it looked and what builds it.
    pub fn find_bench(self) -> Result<Option<Bench>, Missing> {
        let (program, machine, command) = match self {
            Self::QemuM7 => {
                let machine = Some(("mps2-an500", 0x0010_0000));
                ("engram-bench-qemu-m7.elf", machine, "bench-mps2")
            }
            Self::QemuM55 => {
                let machine = Some(("mps3-an547", 0x0100_0000));
                ("engram-bench-qemu-m55.elf", machine, "bench-mps3")
            }
            Self::QemuLinux => ("engram-bench-linux-aarch64", None, "bench-linux"),
            Self::Loopback | Self::QemuF405 | Self::QemuLinuxRt | Self::Linux => return Ok(None),
        };
        let command = format!("scripts/build-boards {command}");
        Ok(Some(Bench {
            program: self.find_file(program, &command)?,
            plugin: self.find_file("engram-instruction-counter.so", &command)?,
            machine,
        }))
    }

    /// Whether the board can be used here.
    ///
    /// # Errors
    /// What is missing.
    pub fn available(self) -> Result<(), Missing> {
        self.find_emulator()?;
        self.find_firmware()?;
        self.find_machine()?;
        Ok(())
    }
}

/// Whether the machine saved in `state` was made of the file `part` as it is now: its SHA-256 stands in the file beside the state.
fn is_in(part: &Path, state: &Path) -> bool {
    let sums = std::fs::read_to_string(state.with_added_extension("sha256")).unwrap_or_default();
    let Ok(bytes) = std::fs::read(part) else {
        return false;
    };
    let sum = hex::encode(Sha256::digest(bytes));
    sums.lines()
        .any(|line| line.split_whitespace().next() == Some(&*sum))
}

/// Where firmware may lie: `ENGRAM_BOARDS_DIR` alone if set; else beside the running program's
/// build folder, in the source tree that it was built from, or under the current folder.
fn firmware_folders() -> Vec<PathBuf> {
    if let Some(folder) = std::env::var_os("ENGRAM_BOARDS_DIR") {
        return vec![PathBuf::from(folder)];
    }
    let mut folders = Vec::new();
    if let Ok(program) = std::env::current_exe() {
        folders.extend(
            program
                .ancestors()
                .filter(|folder| folder.file_name().is_some_and(|name| name == "target"))
                .map(|folder| folder.join("boards")),
        );
    }
    if let Some(root) = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2) {
        folders.push(root.join("target/boards"));
    }
    folders.push(PathBuf::from("target/boards"));
    folders.dedup();
    folders
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_unknown_ones_are_told_what_there_is() {
        for board in BoardName::ALL {
            assert_eq!(board.name().parse(), Ok(board));
        }
        let error = "qemu-m8"
            .parse::<BoardName>()
            .expect_err("no such board")
            .to_string();
        assert!(
            error.contains("qemu-m8") && error.contains("qemu-linux"),
            "{error}"
        );
        for (old, new) in [
            ("jetson", "it is linux;"),
            ("qemu-jetson", "it is qemu-linux;"),
            ("stm32f405", "as qemu-f405, and"),
        ] {
            let error = old.parse::<BoardName>().expect_err("an old name");
            assert!(error.to_string().contains(new), "{error}");
        }
    }

    #[test]
    fn a_machine_of_another_program_is_noticed() {
        let folder = tempfile::tempdir().expect("a folder");
        let [elf, state, sums] =
            ["elf", "a.state", "a.state.sha256"].map(|name| folder.path().join(name));
        std::fs::write(&elf, b"abc").expect("written");
        std::fs::write(&state, b"whatever").expect("written");
        assert!(!is_in(&elf, &state), "nothing says what it was made of");
        // As sha256sum writes it: FIPS 180-2's own example.
        let sum = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        std::fs::write(&sums, format!("{sum}  somewhere/elf\n")).expect("written");
        assert!(is_in(&elf, &state));
        std::fs::write(&elf, b"abd").expect("written");
        assert!(!is_in(&elf, &state), "the program is another");
        let stale = Missing::Stale {
            board: BoardName::QemuLinuxRt,
            part: elf,
        };
        assert!(stale.to_string().contains("scripts/build-boards linux-rt"));
    }

    #[test]
    fn a_missing_thing_says_what_to_run() {
        let program = Missing::Program {
            board: BoardName::QemuM7,
            program: "qemu".to_owned(),
        };
        assert!(program.to_string().contains("scripts/set-up"));
        let firmware = Missing::Firmware {
            board: BoardName::QemuM7,
            file: "x.elf".to_owned(),
            command: "scripts/build-boards mps2".to_owned(),
            looked: "here".to_owned(),
        };
        assert!(firmware.to_string().contains("scripts/build-boards mps2"));
    }
}
