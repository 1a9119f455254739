//! The channels of a flight log and the JSON schema of each: every field that a message may have, and no other.
//!
//! Types are plain (numbers, texts, truths, objects, arrays of these): viewers read no unions and no arrays of arrays.

use std::collections::BTreeMap;
use std::io::{Seek, Write};

use serde_json::{Map, Value, json};

use super::topic;

/// Numbers of the channels in the file.
pub(super) struct Channels {
    pub(super) step: u16,
    pub(super) plant: u16,
    pub(super) event: u16,
    pub(super) attention: u16,
    pub(super) log: u16,
    /// Pose and scene.
    pub(super) view: Option<[u16; 2]>,
}

/// Fields of a message of [`topic::PLANT`] beside the state's.
pub(super) const PLANT_FIELDS: [&str; 5] = ["time_s", "step", "holds", "fallen", "ended"];

/// Names for the state's entries in [`topic::PLANT`], none of which is one of its other fields.
pub(super) fn state_fields(names: &[String]) -> Vec<String> {
    names
        .iter()
        .map(|name| match PLANT_FIELDS.contains(&name.as_str()) {
            true => format!("state_{name}"),
            false => name.clone(),
        })
        .collect()
}

/// Adds all channels to a file; `states` are the fields of the true state, `posed` is whether the plant has a pose.
pub(super) fn add_channels<W: Write + Seek>(
    file: &mut mcap::Writer<W>,
    states: &[String],
    posed: bool,
) -> mcap::McapResult<Channels> {
    let mut add = |topic: &str, schema: &str, fields: Value| -> mcap::McapResult<u16> {
        let text = json!({
            "title": schema, "type": "object", "properties": fields, "additionalProperties": false,
        });
        let schema = file.add_schema(schema, "jsonschema", text.to_string().as_bytes())?;
        file.add_channel(schema, topic, "json", &BTreeMap::new())
    };
    let number = json!({ "type": "number" });
    let integer = json!({ "type": "integer" });
    let text = json!({ "type": "string" });
    let truth = json!({ "type": "boolean" });
    let array = |of: &Value| json!({ "type": "array", "items": of });
    let object = |fields: Value| json!({ "type": "object", "properties": fields, "additionalProperties": false });
    let (numbers, integers) = (array(&number), array(&integer));
    let time = object(json!({ "sec": integer, "nsec": integer }));
    let vector = object(json!({ "x": number, "y": number, "z": number }));
    let rotation = object(json!({ "x": number, "y": number, "z": number, "w": number }));
    let pose = json!({
        "timestamp": time, "parent_frame_id": text, "child_frame_id": text,
        "translation": vector, "rotation": rotation,
    });
    let cylinder = object(json!({
        "pose": object(json!({ "position": vector, "orientation": rotation })),
        "size": vector, "bottom_scale": number, "top_scale": number,
        "color": object(json!({ "r": number, "g": number, "b": number, "a": number })),
    }));
    // Lists that stay empty here: what they would hold is Foxglove's matter.
    let none = array(&object(json!({})));
    let entity = object(json!({
        "timestamp": time, "frame_id": text, "id": text, "lifetime": time, "frame_locked": truth,
        "metadata": none, "arrows": none, "cubes": none, "spheres": none,
        "cylinders": array(&cylinder), "lines": none, "triangles": none, "texts": none,
        "models": none,
    }));
    let scene = json!({ "deletions": none, "entities": array(&entity) });
    let mut plant: Map<String, Value> = states
        .iter()
        .map(|name| (name.clone(), number.clone()))
        .collect();
    for (name, kind) in PLANT_FIELDS
        .iter()
        .zip([&number, &integer, &truth, &truth, &truth])
    {
        plant.insert((*name).to_owned(), kind.clone());
    }
    Ok(Channels {
        step: add(
            topic::STEP,
            "engram.Step",
            json!({
                "time_s": number, "step": integer, "now_us": integer, "episode": integer,
                "lost_before": integer,
                "orders": array(&text),
                "sample": object(json!({
                    "sample_us": integer, "observation": numbers, "reward": number, "done": truth,
                })),
                "words": integers, "expected": integers, "issued": integers, "source": text,
                "reward": number, "state": text, "faults": integer, "command": numbers,
                "plant": numbers, "holds": truth, "fallen": truth, "ended": truth, "diverged": truth,
            }),
        )?,
        plant: add(topic::PLANT, "engram.Plant", Value::Object(plant))?,
        event: add(
            topic::EVENT,
            "engram.Event",
            json!({ "time_s": number, "step": integer, "kind": text, "text": text }),
        )?,
        attention: add(
            topic::ATTENTION,
            "engram.Attention",
            json!({
                "time_s": number, "step": integer,
                "layers": array(&object(json!({ "shares": numbers }))),
            }),
        )?,
        log: add(
            topic::LOG,
            "foxglove.Log",
            json!({
                "timestamp": time,
                "level": integer, "message": text, "name": text, "file": text, "line": integer,
            }),
        )?,
        view: match posed {
            true => Some([
                add(topic::POSE, "foxglove.FrameTransform", pose)?,
                add(topic::SCENE, "foxglove.SceneUpdate", scene)?,
            ]),
            false => None,
        },
    })
}
