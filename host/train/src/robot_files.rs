//! Whether a robot is still what it was when a run began: what its own file means, and its model as MuJoCo compiled it.
//!
//! Comments, spaces and the order of keys make no other robot, nor does how the model is spread over files.

use std::path::Path;

use engram_export::checkpoint::RobotFile;
use sha2::{Digest, Sha256};

use engram_plants::PlantFactory;
use engram_plants::robot::{Robot, RobotError};

mod meaning;

/// What is noted of a plant's robot, its own file first and its model second; nothing for a plant that is no robot's
/// file.
#[must_use]
pub fn files_of(plant: &PlantFactory) -> Vec<RobotFile> {
    let (Some(robot), Some((sha256, mujoco))) = (plant.robot(), plant.model_digest()) else {
        return Vec::new();
    };
    let own = RobotFile {
        file: from_folder(robot, robot.file()),
        // What this process flies is the text that it read, and not what the file may hold by now.
        sha256: meaning::sha256(robot.text()),
        mujoco: None,
    };
    let model = RobotFile {
        file: from_folder(robot, &robot.model),
        sha256,
        mujoco: Some(mujoco),
    };
    vec![own, model]
}

/// Refuses a plant whose robot is not what it was when a run began. Runs on other plants, and of versions that did
/// not note the robot, have nothing to compare.
///
/// # Errors
/// [`RobotError::Changed`] names the first file that differs.
pub fn check_unchanged(plant: &PlantFactory, then: &[RobotFile]) -> Result<(), RobotError> {
    let Some(robot) = plant.robot() else {
        return Ok(());
    };
    for (index, file) in then.iter().enumerate() {
        let stays = match &file.mujoco {
            // The robot's own file may have another name by now.
            _ if index == 0 => {
                let text = robot.text();
                [meaning::sha256(text), bytes(text.as_bytes())].contains(&file.sha256)
            }
            Some(version) => is_compiled_alike(plant, version, &file.sha256),
            // As earlier versions noted every file that the model names. One that is gone has changed, too.
            None => std::fs::read(folder(robot).join(&file.file))
                .is_ok_and(|content| bytes(&content) == file.sha256),
        };
        if !stays {
            return Err(RobotError::Changed {
                file: file.file.clone(),
            });
        }
    }
    Ok(())
}

fn is_compiled_alike(plant: &PlantFactory, version: &str, sha256: &str) -> bool {
    let Some((digest, now)) = plant.model_digest() else {
        return true;
    };
    if now != version {
        tracing::warn!(
            "{}: the run noted the model as MuJoCo {version} compiles it, and this is MuJoCo {now}: whether the model has changed since cannot be told",
            plant.name()
        );
        return true;
    }
    digest == sha256
}

fn bytes(content: &[u8]) -> String {
    hex::encode(Sha256::digest(content))
}

fn folder(robot: &Robot) -> &Path {
    robot.file().parent().unwrap_or(Path::new(""))
}

fn from_folder(robot: &Robot, path: &Path) -> String {
    let below = path.strip_prefix(folder(robot)).unwrap_or(path);
    below.display().to_string()
}

#[cfg(all(test, feature = "mujoco"))]
mod mujoco_tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;

    const EXAMPLE: &str = include_str!("../../../examples/robots/balancer.toml");
    const MODEL: &str = include_str!("../../../examples/robots/balancer.xml");

    /// The example with changes, in a folder of its own.
    fn robot(change: impl Fn(&str) -> String) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("robot.toml");
        fs::write(&file, change(EXAMPLE)).unwrap();
        fs::write(dir.path().join("balancer.xml"), change(MODEL)).unwrap();
        (dir, file)
    }

    fn plant(file: &Path) -> PlantFactory {
        PlantFactory::open(file.to_str().unwrap()).unwrap()
    }

    fn check(file: &Path, then: &[RobotFile]) -> Result<(), RobotError> {
        check_unchanged(&plant(file), then)
    }

    fn noted(file: &str, content: &str) -> RobotFile {
        RobotFile {
            file: file.to_owned(),
            sha256: bytes(content.as_bytes()),
            mujoco: None,
        }
    }

    #[test]
    fn what_changed_is_named_and_comments_make_no_other_robot() {
        let (_dir, file) = robot(str::to_owned);
        let then = files_of(&plant(&file));
        assert_eq!(then[0].file, "robot.toml");
        check(&file, &then).unwrap();
        let (_moved, file) = robot(|text| {
            let text = text.replace("weight = 0.5", "weight =   0.50   # half");
            let text = text.replace("<worldbody>", "<!-- a -- comment -->\n <worldbody >");
            if text.contains("<mujoco") {
                text
            } else {
                format!("# A comment.\n{text}")
            }
        });
        assert!(fs::read_to_string(&file).unwrap().contains("0.50"));
        check(&file, &then).unwrap();
        let (_other, file) = robot(|text| text.replace("weight = 0.5", "weight = 0.6"));
        let changed = |file: &str| {
            Err(RobotError::Changed {
                file: file.to_owned(),
            })
        };
        assert_eq!(check(&file, &then), changed("robot.toml"));
        {
            let (_other, file) = robot(|text| text.replacen(" mass=\"", " mass=\"1", 1));
            assert_eq!(check(&file, &then), changed("balancer.xml"));
            // Of another version nothing can be told.
            let mut earlier = then;
            earlier[1].mujoco = Some("3.0.0".to_owned());
            check(&file, &earlier).unwrap();
        }
    }

    #[test]
    fn runs_that_noted_every_file_are_compared_by_bytes() {
        let (dir, file) = robot(str::to_owned);
        fs::create_dir(dir.path().join("meshes")).unwrap();
        fs::write(dir.path().join("meshes/part.stl"), "part").unwrap();
        let then = [
            noted("earlier.toml", EXAMPLE),
            noted("balancer.xml", MODEL),
            noted("meshes/part.stl", "part"),
        ];
        check(&file, &then).unwrap();
        for content in [Some("Part"), None] {
            let path = dir.path().join("meshes/part.stl");
            match content {
                Some(content) => fs::write(path, content).unwrap(),
                None => fs::remove_file(path).unwrap(),
            }
            let error = check(&file, &then).unwrap_err().to_string();
            assert!(error.contains("meshes/part.stl"), "{error}");
            assert!(error.contains("every byte"), "{error}");
        }
        let (_dir, commented) = robot(|text| format!("{text}\n"));
        let own = fs::read_to_string(&commented).unwrap();
        let (own, model) = (noted("mine.toml", &own), noted("balancer.xml", MODEL));
        check(&commented, std::slice::from_ref(&own)).unwrap();
        assert!(check(&commented, &[own, model]).is_err());
        assert!(check(&commented, &then[..1]).is_err());
    }

    #[test]
    fn runs_without_robot_or_hashes_have_nothing_to_compare() {
        let (_dir, file) = robot(str::to_owned);
        check(&file, &[]).unwrap();
        let pendulum = PlantFactory::open("pendulum").unwrap();
        check_unchanged(&pendulum, &[noted("a", "b")]).unwrap();
        assert_eq!(files_of(&pendulum), []);
    }
}
