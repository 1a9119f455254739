//! Where the robot is, for 3-D views: a frame that moves, and the shapes that are fixed to it, in Foxglove's own messages.
//!
//! World: x forward, y left, z up, in m. A plant has a place where its true state names `x_m`, `y_m` and `z_m`, and an
//! attitude where it names a quaternion, `attitude_w` to `attitude_z`; the pendulum's is its angle from upright, about y.

use serde_json::{Value, json};

use super::super::exact::Exact;
use super::super::record::Header;

/// The frame that nothing moves.
const WORLD: &str = "world";
/// The frame that moves with the robot.
const BODY: &str = "body";

/// How a plant's true state tells its pose: places in the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pose {
    /// Position, and an attitude where there is one (w, x, y, z).
    Body([usize; 3], Option<[usize; 4]>),
    /// An angle from upright, rad.
    Pendulum(usize),
}

impl Pose {
    /// That of a flight's plant, if it has one.
    pub(super) fn of(header: &Header) -> Option<Self> {
        let at = |name: &str| header.state_names.iter().position(|known| known == name);
        if header.plant == "pendulum" {
            return at("angle_rad").map(Self::Pendulum);
        }
        let position = [at("x_m")?, at("y_m")?, at("z_m")?];
        let attitude = ["attitude_w", "attitude_x", "attitude_y", "attitude_z"].map(at);
        let attitude = match attitude {
            [Some(w), Some(x), Some(y), Some(z)] => Some([w, x, y, z]),
            _ => None,
        };
        Some(Self::Body(position, attitude))
    }

    /// `foxglove.FrameTransform`: the body in the world.
    pub(super) fn transform(self, state: &[f32], timestamp: &Value) -> Value {
        let get = |at: usize| state.get(at).copied().unwrap_or(f32::NAN);
        let (position, [w, x, y, z]) = match self {
            Self::Body(position, attitude) => (
                position.map(get),
                attitude.map_or([1.0, 0.0, 0.0, 0.0], |attitude| attitude.map(get)),
            ),
            Self::Pendulum(angle) => {
                let (sine, cosine) = (0.5 * get(angle)).sin_cos();
                ([0.0; 3], [cosine, 0.0, sine, 0.0])
            }
        };
        json!({
            "timestamp": timestamp, "parent_frame_id": WORLD, "child_frame_id": BODY,
            "translation": vector(position),
            "rotation": { "x": Exact(x), "y": Exact(y), "z": Exact(z), "w": Exact(w) },
        })
    }

    /// `foxglove.SceneUpdate`: shapes that stay for good, those of the robot fixed to its frame.
    pub(super) fn scene(self, timestamp: &Value) -> Value {
        let (body, world) = match self {
            Self::Body(_, Some(_)) => (craft(), vec![disc([0.0; 3], [0.02; 3], GOAL)]),
            Self::Body(_, None) => (vec![disc([0.0; 3], [0.1; 3], FRONT)], Vec::new()),
            Self::Pendulum(_) => {
                let (rod, bob) = ([0.03, 0.03, 1.0], [0.15, 0.15, 0.08]);
                let body = vec![
                    disc([0.0, 0.0, 0.5], rod, DARK),
                    disc([0.0, 0.0, 1.0], bob, FRONT),
                ];
                (body, vec![disc([0.0; 3], [0.08; 3], GOAL)])
            }
        };
        let entity = |frame: &str, cylinders: Vec<Value>| {
            json!({
                "timestamp": timestamp, "frame_id": frame, "id": frame,
                "lifetime": { "sec": 0, "nsec": 0 }, "frame_locked": true, "cylinders": cylinders,
                "metadata": [], "arrows": [], "cubes": [], "spheres": [], "lines": [], "triangles": [],
                "texts": [], "models": [],
            })
        };
        json!({ "deletions": [], "entities": [entity(WORLD, world), entity(BODY, body)] })
    }
}

/// Red, green, blue, each on [0, 1].
type Colour = [f32; 3];
const DARK: Colour = [0.3, 0.32, 0.36];
const FRONT: Colour = [0.9, 0.45, 0.1];
const BACK: Colour = [0.2, 0.45, 0.8];
const GOAL: Colour = [0.2, 0.7, 0.3];

/// A quadrotor of no size in particular: what it is, is hidden. Rotors as everywhere: front right, back right, back left, front left.
fn craft() -> Vec<Value> {
    let rotors = [[1.0, -1.0], [-1.0, -1.0], [-1.0, 1.0], [1.0, 1.0_f32]];
    let rotors = rotors.map(|[x, y]| {
        let colour = if x > 0.0 { FRONT } else { BACK };
        disc([0.06 * x, 0.06 * y, 0.02], [0.09, 0.09, 0.006], colour)
    });
    let hub = disc([0.0; 3], [0.08, 0.08, 0.03], DARK);
    rotors.into_iter().chain([hub]).collect()
}

/// `foxglove.CylinderPrimitive`, upright: its middle and its size along x, y and z, in m.
fn disc(middle: [f32; 3], size: [f32; 3], [r, g, b]: Colour) -> Value {
    json!({
        "pose": { "position": vector(middle), "orientation": { "x": 0.0, "y": 0.0, "z": 0.0, "w": 1.0 } },
        "size": vector(size), "bottom_scale": 1.0, "top_scale": 1.0,
        "color": { "r": r, "g": g, "b": b, "a": 1.0 },
    })
}

fn vector([x, y, z]: [f32; 3]) -> Value {
    json!({ "x": Exact(x), "y": Exact(y), "z": Exact(z) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(value: &Value) -> f64 {
        value.as_f64().expect("a number")
    }

    #[test]
    fn a_pendulum_turns_about_y_and_a_body_is_where_its_state_says() {
        let time = json!({ "sec": 1, "nsec": 2 });
        let hanging = Pose::Pendulum(0).transform(&[std::f32::consts::PI], &time);
        assert!(number(&hanging["rotation"]["w"]).abs() < 1e-6);
        assert!((number(&hanging["rotation"]["y"]) - 1.0).abs() < 1e-6);
        let state = [1.0, 2.0, 3.0, 0.5, -0.5, 0.25, 0.125];
        let body = Pose::Body([0, 1, 2], Some([3, 4, 5, 6])).transform(&state, &time);
        assert_eq!(number(&body["translation"]["z"]), 3.0);
        assert_eq!(
            ["w", "x", "y", "z"].map(|axis| number(&body["rotation"][axis])),
            [0.5, -0.5, 0.25, 0.125]
        );
        let place = Pose::Body([2, 1, 0], None).transform(&state, &time);
        assert_eq!(number(&place["translation"]["x"]), 3.0);
        assert_eq!(number(&place["rotation"]["w"]), 1.0);
        // What a state lacks is a number all the same: JSON has no NaN.
        assert!(Pose::Body([0, 1, 9], None).transform(&state, &time)["translation"]["z"].is_f64());
    }
}
