//! Puts an ONNX graph together, node by node.

use prost::Message;

use super::protobuf::{
    Attribute, Dimension, FLOAT, Graph, INT8, INT32, INT64, Model, Node, OperatorSet, Shape,
    Tensor, TensorType, Type, UINT8, ValueInfo,
};

/// The name of a value in the graph.
pub(crate) type Name = String;

/// The domain of the operators that ONNX Runtime adds to ONNX.
pub(crate) const MICROSOFT: &str = "com.microsoft";

/// A graph that grows.
#[derive(Default)]
pub(crate) struct Builder {
    graph: Graph,
    values: usize,
}

/// An integer attribute.
pub(crate) fn int(name: &str, i: i64) -> Attribute {
    Attribute {
        name: name.into(),
        i,
        kind: 2,
        ..Attribute::default()
    }
}

/// An attribute of several integers.
pub(crate) fn ints(name: &str, ints: &[i64]) -> Attribute {
    Attribute {
        name: name.into(),
        ints: ints.to_vec(),
        kind: 7,
        ..Attribute::default()
    }
}

/// A real attribute.
pub(crate) fn real(name: &str, f: f32) -> Attribute {
    Attribute {
        name: name.into(),
        f,
        kind: 1,
        ..Attribute::default()
    }
}

fn dims(shape: &[usize]) -> Vec<i64> {
    shape.iter().map(|&size| size as i64).collect()
}

fn value_info(name: &str, shape: &[usize]) -> ValueInfo {
    let dim = dims(shape).into_iter().map(|value| Dimension { value });
    let shape = Some(Shape { dim: dim.collect() });
    ValueInfo {
        name: name.into(),
        kind: Some(Type {
            tensor: Some(TensorType {
                element: FLOAT,
                shape,
            }),
        }),
    }
}

impl Builder {
    fn name(&mut self) -> Name {
        self.values += 1;
        format!("v{}", self.values)
    }

    /// An f32 input of the graph.
    pub(crate) fn input(&mut self, name: &str, shape: &[usize]) -> Name {
        self.graph.input.push(value_info(name, shape));
        name.into()
    }

    /// Makes `value`, which has `shape`, the output `name` of the graph.
    pub(crate) fn output(&mut self, value: &str, name: &str, shape: &[usize]) {
        // The node that makes the value writes it under its public name; no copy.
        let made = self.graph.node.iter_mut().flat_map(|node| &mut node.output);
        made.filter(|made| *made == value)
            .for_each(|made| *made = name.into());
        let read = self.graph.node.iter_mut().flat_map(|node| &mut node.input);
        read.filter(|read| *read == value)
            .for_each(|read| *read = name.into());
        self.graph.output.push(value_info(name, shape));
    }

    fn constant(&mut self, shape: &[usize], data_type: i32, raw_data: Vec<u8>) -> Name {
        let name = self.name();
        self.graph.initializer.push(Tensor {
            dims: dims(shape),
            data_type,
            name: name.clone(),
            raw_data,
        });
        name
    }

    /// A constant of f32.
    pub(crate) fn floats(&mut self, shape: &[usize], values: &[f32]) -> Name {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes());
        self.constant(shape, FLOAT, bytes.collect())
    }

    /// A constant of i64, one dimension.
    pub(crate) fn integers(&mut self, values: &[i64]) -> Name {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes());
        self.constant(&[values.len()], INT64, bytes.collect())
    }

    /// A constant of i32, one dimension.
    pub(crate) fn sums(&mut self, values: &[i32]) -> Name {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes());
        self.constant(&[values.len()], INT32, bytes.collect())
    }

    /// A constant of i8.
    pub(crate) fn bytes(&mut self, shape: &[usize], values: &[i8]) -> Name {
        let bytes = values.iter().map(|value| value.cast_unsigned());
        self.constant(shape, INT8, bytes.collect())
    }

    /// One u8.
    pub(crate) fn unsigned_byte(&mut self, value: u8) -> Name {
        self.constant(&[], UINT8, vec![value])
    }

    /// A node with one output.
    pub(crate) fn node(
        &mut self,
        op_type: &str,
        input: &[&str],
        attribute: Vec<Attribute>,
    ) -> Name {
        let [output] = self.nodes("", op_type, input, attribute);
        output
    }

    /// A node of [`MICROSOFT`] with one output.
    pub(crate) fn microsoft(
        &mut self,
        op_type: &str,
        input: &[&str],
        attribute: Vec<Attribute>,
    ) -> Name {
        let [output] = self.nodes(MICROSOFT, op_type, input, attribute);
        output
    }

    /// A node with `N` outputs.
    pub(crate) fn nodes<const N: usize>(
        &mut self,
        domain: &str,
        op_type: &str,
        input: &[&str],
        attribute: Vec<Attribute>,
    ) -> [Name; N] {
        let output = std::array::from_fn(|_| self.name());
        self.graph.node.push(Node {
            input: input.iter().map(|&name| name.into()).collect(),
            output: output.to_vec(),
            name: format!("n{}", self.graph.node.len()),
            op_type: op_type.into(),
            attribute,
            domain: domain.into(),
        });
        output
    }

    /// `value` in another shape.
    pub(crate) fn reshape(&mut self, value: &str, shape: &[usize]) -> Name {
        let shape = self.integers(&dims(shape));
        self.node("Reshape", &[value, &shape], vec![])
    }

    /// The entries `from..to` of `value` along `axis`.
    pub(crate) fn slice(&mut self, value: &str, axis: usize, from: usize, to: usize) -> Name {
        let [from, to, axis] = [from, to, axis].map(|value| self.integers(&[value as i64]));
        self.node("Slice", &[value, &from, &to, &axis], vec![])
    }

    /// The file.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.graph.name = "policy".into();
        let set = |domain: &str, version| OperatorSet {
            domain: domain.into(),
            version,
        };
        let uses_microsoft = self.graph.node.iter().any(|node| node.domain == MICROSOFT);
        let mut opset_import = vec![set("", 17)];
        if uses_microsoft {
            opset_import.push(set(MICROSOFT, 1));
        }
        Model {
            ir_version: 8,
            graph: Some(self.graph),
            opset_import,
        }
        .encode_to_vec()
    }
}
