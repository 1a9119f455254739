//! The private key that images are signed with: made, kept in a file, and used.
//!
//! The file is PKCS#8 in PEM, as `openssl genpkey -algorithm ed25519` writes it, too.

use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{self, DecodePrivateKey as _, KeypairBytes};
use ed25519_dalek::{Signer as _, SigningKey};
use engram_firmware::signature::PublicKey;
use engram_image::ReadError;
use engram_image::write::signed;
use rand::TryRng as _;
use rand::rngs::SysRng;

use engram_plants::bounded_file::{self, BoundedError};

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum SignerError {
    /// The operating system gives no random bytes.
    #[error("the system gives no random bytes: {0}")]
    Random(String),
    /// A key is never written over.
    #[error("{} is there already, and a key is not replaced; {}", path.display(), public.map_or_else(|| "give another name".to_owned(), |public| format!("its public key is {public}")))]
    Exists {
        /// The file.
        path: PathBuf,
        /// What belongs to the key in it.
        public: Option<PublicKey>,
    },
    /// The operating system's words.
    #[error("the key {} cannot be written: {cause}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What it said.
        cause: io::Error,
    },
    /// The file cannot be read.
    #[error("the key {} cannot be read: {cause}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: BoundedError,
    },
    /// The file holds no private key.
    #[error("{} is no private ed25519 key ({cause}); `engram keygen` makes one", path.display())]
    NotAKey {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: pkcs8::Error,
    },
}

/// Who signs images.
#[derive(Debug)]
pub struct Signer(SigningKey);

impl Signer {
    /// A new key, written to a new file that its owner alone can read.
    ///
    /// # Errors
    /// [`SignerError`]; a file that is there already stays as it is.
    pub fn create(path: &Path) -> Result<Self, SignerError> {
        let mut secret = [0; 32];
        SysRng
            .try_fill_bytes(&mut secret)
            .map_err(|error| SignerError::Random(error.to_string()))?;
        let signer = Self(SigningKey::from_bytes(&secret));
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path);
        let written = file.and_then(|mut file| {
            file.write_all(signer.pem()?.as_bytes())?;
            file.sync_all()
        });
        match written {
            Ok(()) => Ok(signer),
            Err(cause) if cause.kind() == ErrorKind::AlreadyExists => Err(SignerError::Exists {
                path: path.to_owned(),
                public: Self::read(path).ok().map(|signer| signer.public()),
            }),
            Err(cause) => Err(SignerError::Write {
                path: path.to_owned(),
                cause,
            }),
        }
    }

    /// The key in a file.
    ///
    /// # Errors
    /// [`SignerError`].
    pub fn read(path: &Path) -> Result<Self, SignerError> {
        let text = bounded_file::text(path).map_err(|cause| SignerError::Read {
            path: path.to_owned(),
            cause,
        })?;
        match SigningKey::from_pkcs8_pem(&text) {
            Ok(key) => Ok(Self(key)),
            Err(cause) => Err(SignerError::NotAKey {
                path: path.to_owned(),
                cause,
            }),
        }
    }

    /// What boards take its images by.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// `image` with its signature; an earlier one is replaced.
    ///
    /// # Errors
    /// The bytes have no header of an image.
    pub fn sign(&self, image: Vec<u8>) -> Result<Vec<u8>, ReadError> {
        signed(image, |bytes| self.0.sign(bytes).to_bytes())
    }

    fn pem(&self) -> io::Result<String> {
        use pkcs8::EncodePrivateKey as _;
        // Without the public key: older programs read no more than the private one.
        let key = KeypairBytes {
            secret_key: self.0.to_bytes(),
            public_key: None,
        };
        let pem = key.to_pkcs8_pem(LineEnding::LF).map_err(io::Error::other)?;
        Ok(pem.to_string())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::process::Command;

    use engram_image::header::Header;

    use super::*;
    use crate::shipped_image;

    #[test]
    fn a_key_is_made_once_and_signs() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("robot.pem");
        let made = Signer::create(&path).expect("a new file");
        let mode = fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let before = fs::read(&path).expect("there");
        let again = Signer::create(&path).expect_err("it is there").to_string();
        let public = made.public();
        assert!(again.contains(&public.to_string()), "{again}");
        assert_eq!(fs::read(&path).expect("there"), before);
        let read = Signer::read(&path).expect("a key");
        assert_eq!(read.public(), public);
        let signed = read
            .sign(shipped_image("pendulum").expect("one ships").to_vec())
            .expect("an image");
        let header = Header::read(&signed).expect("a header");
        assert_eq!(public.verify(&header), Ok(()));
        let other = Signer::create(&folder.path().join("other.pem")).expect("a new file");
        assert_ne!(other.public(), public);
        assert!(other.public().verify(&header).is_err());
        for (name, text, says) in [
            ("no.pem", "no key", "is no private ed25519 key"),
            ("missing.pem", "", "cannot be read"),
        ] {
            let path = folder.path().join(name);
            if !text.is_empty() {
                fs::write(&path, text).expect("written");
            }
            let error = Signer::read(&path).expect_err("no key").to_string();
            assert!(error.contains(says), "{error}");
        }
    }

    /// OpenSSL reads our keys, and we read its.
    #[test]
    fn openssl_and_this_read_each_others_keys() {
        let folder = tempfile::tempdir().expect("a folder");
        let openssl = |arguments: &[&str]| {
            let run = Command::new("openssl").args(arguments).output();
            let run = run.expect("openssl is installed");
            assert!(run.status.success(), "{run:?}");
            run.stdout
        };
        let (ours, theirs) = (folder.path().join("a"), folder.path().join("b"));
        let public_of = |path: &str| {
            let der = openssl(&["pkey", "-in", path, "-pubout", "-outform", "DER"]);
            PublicKey(*der.last_chunk().expect("32 bytes at the end"))
        };
        let made = Signer::create(&ours).expect("a new file");
        assert_eq!(public_of(&ours.display().to_string()), made.public());
        let name = theirs.display().to_string();
        openssl(&["genpkey", "-algorithm", "ed25519", "-out", &name]);
        let read = Signer::read(&theirs).expect("a key");
        assert_eq!(public_of(&name), read.public());
    }
}
