//! Starting boards and opening serial lines.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use engram_firmware::signature::PublicKey;
use serialport::{SerialPort as _, TTYPort};
use tempfile::TempDir;

use super::loopback::Loopback;
use super::names::{BoardName, Missing};
use super::packed::packed_for;
use super::stream::{BoardProcess, Stream, Wire};
use super::transport::Transport;

/// Bits per second of a serial line, unless told otherwise.
pub const DEFAULT_BAUD: u32 = 921_600;
/// How long a board's program may take to open its end of the link.
const START_PATIENCE: Duration = Duration::from_secs(10);
/// Where Debian puts the C library of aarch64.
pub(crate) const AARCH64_LIBRARIES: &str = "/usr/aarch64-linux-gnu";

/// The machine of the STM32F405; its link is USART2, the second serial line.
const F405: [&str; 3] = ["netduinoplus2", "-serial", "null"];

/// Why a board could not be started or reached.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Something has to be installed or built first.
    #[error(transparent)]
    Missing(#[from] Missing),
    /// The program did not start.
    #[error("board {board}: {program} did not start: {cause}")]
    Start {
        /// The board.
        board: BoardName,
        /// The program.
        program: PathBuf,
        /// The operating system's words.
        cause: io::Error,
    },
    /// The program ended before it spoke.
    #[error("board {board}: {why}")]
    Ended {
        /// The board.
        board: BoardName,
        /// Its exit status and last words.
        why: String,
    },
    /// A socket, a pseudo terminal or a temporary folder could not be made.
    #[error("board {board}: no {what}: {cause}")]
    Wire {
        /// The board.
        board: BoardName,
        /// What could not be made.
        what: &'static str,
        /// The operating system's words.
        cause: io::Error,
    },
    /// The serial device cannot be opened.
    #[error("serial port {port:?} cannot be opened: {cause} (`engram boards` lists the ports)")]
    Port {
        /// The device.
        port: String,
        /// What is wrong with it.
        cause: String,
    },
}

/// Starts `board` and opens the link to it. The board ends when the transport is dropped.
///
/// # Errors
/// [`OpenError`] says what to install or build, or how the start failed.
pub fn open(board: BoardName) -> Result<Box<dyn Transport>, OpenError> {
    start(board, None, None)
}

/// The same with `image`, packed for the board, in its flash, as a part comes that was programmed with one. Boards without flash, and those that
/// keep uploads in it, start as [`open`] starts them.
///
/// # Errors
/// As [`open`].
pub fn open_for(board: BoardName, image: &[u8]) -> Result<Box<dyn Transport>, OpenError> {
    let image = packed_for(board.packing().flag(), image);
    start(board, Some(&image), None)
}

/// As [`open`], a board that takes images signed by `key` alone. A microcontroller's firmware is built with its key, and given none.
///
/// # Errors
/// As [`open`].
pub fn open_with_key(board: BoardName, key: PublicKey) -> Result<Box<dyn Transport>, OpenError> {
    start(board, None, Some(key))
}

/// Boots another firmware of the STM32F405 in QEMU, a robot's say, as [`open`] boots that of `qemu-f405`.
///
/// # Errors
/// As [`open`].
pub fn open_firmware(elf: &Path) -> Result<Box<dyn Transport>, OpenError> {
    let board = BoardName::QemuF405;
    Ok(Box::new(open_machine(board, &F405, Some(elf), None)?))
}

fn start(
    board: BoardName,
    flash: Option<&[u8]>,
    key: Option<PublicKey>,
) -> Result<Box<dyn Transport>, OpenError> {
    Ok(match board {
        BoardName::Loopback => Box::new(Loopback::new(key)),
        BoardName::QemuM7 => Box::new(open_machine(board, &["mps2-an500"], None, None)?),
        BoardName::QemuM55 => Box::new(open_machine(board, &["mps3-an547"], None, None)?),
        BoardName::QemuF405 => Box::new(open_machine(board, &F405, None, flash)?),
        BoardName::QemuLinuxRt => Box::new(open_linux_machine("file,path=/dev/stderr")?),
        BoardName::Linux | BoardName::QemuLinux => Box::new(open_process(board, key)?),
    })
}

/// Opens a serial device with a board behind it.
///
/// # Errors
/// [`OpenError::Port`].
pub fn open_port(port: &str, baud: u32) -> Result<Box<dyn Transport>, OpenError> {
    let terminal = TTYPort::open(&serialport::new(port, baud).timeout(Duration::from_millis(100)))
        .map_err(|cause| OpenError::Port {
            port: port.to_owned(),
            cause: why_not(Path::new(port), &cause),
        })?;
    // What lies in the buffers belongs to an earlier conversation.
    let _ = terminal.clear(serialport::ClearBuffer::All);
    Ok(Box::new(Stream::new(
        port,
        Wire::Terminal(terminal),
        None,
        None,
    )))
}

/// Why a serial device could not be opened, in words that say what to do.
fn why_not(path: &Path, cause: &serialport::Error) -> String {
    match std::fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            "there is no such device".to_owned()
        }
        Ok(there) if !there.file_type().is_char_device() => "it is no device".to_owned(),
        _ => match cause.kind() {
            serialport::ErrorKind::Io(io::ErrorKind::PermissionDenied) => {
                format!("{cause}: add this user to the group that owns it (often dialout)")
            }
            serialport::ErrorKind::NoDevice => format!("{cause}: is another program using it?"),
            // What a device says that knows no speed.
            _ => format!("{cause}: is it a serial line, and does it know this speed?"),
        },
    }
}

fn spawn(
    board: BoardName,
    program: &Path,
    command: &mut Command,
) -> Result<BoardProcess, OpenError> {
    let child = command
        .stderr(Stdio::piped())
        // Ctrl-C is for the host, which then ends the board in good order.
        .process_group(0)
        .spawn()
        .map_err(|cause| OpenError::Start {
            board,
            program: program.to_owned(),
            cause,
        })?;
    Ok(BoardProcess::new(child))
}

fn emulator(board: BoardName) -> Result<PathBuf, OpenError> {
    Ok(board.find_emulator()?.unwrap_or_default())
}

fn firmware(board: BoardName) -> Result<PathBuf, OpenError> {
    Ok(board.find_firmware()?.unwrap_or_default())
}

/// Starts a machine of QEMU's, whose arguments begin with its name, with the firmware of `board` or another, and with these bytes where the F405's firmware looks for an image; the link
/// is the serial line behind those that they give.
fn open_machine(
    board: BoardName,
    machine: &[&str],
    other: Option<&Path>,
    flash: Option<&[u8]>,
) -> Result<Stream, OpenError> {
    let elf = match other {
        Some(elf) => elf.to_owned(),
        None => firmware(board)?,
    };
    let folder = socket_folder(board)?;
    let mut arguments: Vec<_> = machine.iter().map(OsString::from).collect();
    if let Some(bytes) = flash {
        let file = folder.path().join("flash");
        std::fs::write(&file, bytes).map_err(|cause| OpenError::Wire {
            board,
            what: "temporary file for the flash",
            cause,
        })?;
        let loader = format!(
            "loader,file={},addr=0x080a0000,force-raw=on",
            file.display()
        );
        arguments.extend(["-device".into(), loader.into()]);
    }
    arguments.extend(["-serial", "chardev:link", "-kernel"].map(OsString::from));
    arguments.push(elf.clone().into());
    let stream = start_machine(board, folder, &arguments, Stdio::null())?;
    Ok(stream.with_firmware(elf))
}

/// Starts the whole machine of `qemu-linux-rt` where its saved state left it: booted, with the board's process waiting for a host. `console`
/// is where QEMU puts the machine's other serial line.
///
/// What it is made of must be what `scripts/build-boards linux-rt` saved: QEMU refuses another.
fn open_linux_machine(console: &str) -> Result<Stream, OpenError> {
    let board = BoardName::QemuLinuxRt;
    let elf = firmware(board)?;
    let state = board.find_machine()?.unwrap_or_default();
    let state = File::open(&state).map_err(|cause| OpenError::Wire {
        board,
        what: "saved state of the machine",
        cause,
    })?;
    let console = format!("{console},id=console");
    let arguments = [
        ["virt", "-cpu"],
        ["cortex-a76", "-m"],
        ["256", "-nic"],
        ["none", "-nodefaults"],
        // A watchdog that bites, and a process that ends, end the machine.
        ["-no-reboot", "-chardev"],
        [&*console, "-serial"],
        ["chardev:console", "-device"],
        ["pci-serial,chardev=link", "-incoming"],
    ];
    let arguments = arguments.as_flattened().iter().chain(&["fd:0"]);
    let arguments: Vec<_> = arguments.map(OsString::from).collect();
    let stream = start_machine(board, socket_folder(board)?, &arguments, state.into())?;
    Ok(stream.with_firmware(elf))
}

/// Starts `qemu-linux-rt` with its console at the other end of a socket: lines of a shell that runs beside the board.
///
/// # Errors
/// As [`open`].
pub fn open_with_console() -> Result<(Box<dyn Transport>, UnixStream), OpenError> {
    let wire = |what| {
        move |cause| OpenError::Wire {
            board: BoardName::QemuLinuxRt,
            what,
            cause,
        }
    };
    let folder = socket_folder(BoardName::QemuLinuxRt)?;
    let socket = folder.path().join("console");
    let listener = UnixListener::bind(&socket).map_err(wire("socket for the console"))?;
    let machine = open_linux_machine(&format!("socket,path={}", socket.display()))?;
    let (console, _) = listener.accept().map_err(wire("console"))?;
    Ok((Box::new(machine), console))
}

fn socket_folder(board: BoardName) -> Result<TempDir, OpenError> {
    let folder = tempfile::Builder::new().prefix("engram-").tempdir();
    folder.map_err(|cause| OpenError::Wire {
        board,
        what: "temporary folder for the socket",
        cause,
    })
}

/// Starts QEMU with the arguments after `-machine`, in which `link` is what is connected to the host, and waits for its end of it.
fn start_machine(
    board: BoardName,
    folder: TempDir,
    arguments: &[OsString],
    stdin: Stdio,
) -> Result<Stream, OpenError> {
    let program = emulator(board)?;
    let wire = |what| move |cause| OpenError::Wire { board, what, cause };
    let socket = folder.path().join("uart");
    // `wait=on`: the machine starts when the link is there, so that no byte can be missed.
    let link = format!("socket,id=link,path={},server=on,wait=on", socket.display());
    let mut process = spawn(
        board,
        &program,
        Command::new(&program)
            .args(["-display", "none", "-monitor", "none", "-chardev", &link])
            .arg("-machine")
            .args(arguments)
            .stdin(stdin)
            .stdout(Stdio::null()),
    )?;
    let deadline = Instant::now() + START_PATIENCE;
    let stream = loop {
        match UnixStream::connect(&socket) {
            Ok(stream) => break stream,
            Err(error) => {
                if let Some(why) = process.ended() {
                    return Err(OpenError::Ended { board, why });
                }
                if Instant::now() >= deadline {
                    return Err(wire("socket to QEMU")(error));
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    };
    let folder = Some(folder);
    let wire = Wire::Socket(stream);
    Ok(Stream::new(board.name(), wire, Some(process), folder))
}

/// The Linux board makes a pseudo terminal and prints its path: that works under qemu-aarch64 too,
/// which does not emulate what opening a serial device takes.
fn open_process(board: BoardName, key: Option<PublicKey>) -> Result<Stream, OpenError> {
    let firmware = firmware(board)?;
    let (program, mut command) = match board.find_emulator()? {
        Some(emulator) => {
            let mut command = Command::new(&emulator);
            command.args(["-cpu", "max"]).arg(&firmware);
            if std::env::var_os("QEMU_LD_PREFIX").is_none() {
                command.env("QEMU_LD_PREFIX", AARCH64_LIBRARIES);
            }
            (emulator, command)
        }
        None => (firmware.clone(), Command::new(&firmware)),
    };
    command
        .args(["--pty", "--name", board.name()])
        .args(key.map(|key| format!("--key={key}")))
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let mut process = spawn(board, &program, &mut command)?;
    let deadline = Instant::now() + START_PATIENCE;
    let printed = process.first_line();
    let path = loop {
        match printed.recv_timeout(Duration::from_millis(20)) {
            Ok(path) => break path,
            Err(_) => {
                if let Some(why) = process.ended() {
                    return Err(OpenError::Ended { board, why });
                }
                if Instant::now() >= deadline {
                    let why = format!("it named no pseudo terminal within {START_PATIENCE:?}");
                    return Err(OpenError::Ended { board, why });
                }
            }
        }
    };
    let port =
        TTYPort::open(&serialport::new(&path, DEFAULT_BAUD)).map_err(|cause| OpenError::Port {
            cause: why_not(Path::new(&path), &cause),
            port: path,
        })?;
    Ok(Stream::new(
        board.name(),
        Wire::Terminal(port),
        Some(process),
        None,
    ))
}
