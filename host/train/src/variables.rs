//! Named trainable tensors, and their view as one flat vector for the optimiser.

use std::ops::Range;

use candle_core::backprop::GradStore;
use candle_core::{Device, Result, Tensor, Var};
use engram_export::tensors::{Tensor as Values, Tensors};

/// Trainable tensors in a fixed order.
#[derive(Clone, Debug)]
pub struct Variables {
    list: Vec<(String, Var)>,
}

impl Variables {
    /// Makes variables of named tensors, in the names' order.
    ///
    /// # Errors
    /// When the device refuses.
    pub fn new<'a>(
        tensors: impl IntoIterator<Item = (&'a String, &'a Values)>,
        device: &Device,
    ) -> Result<Self> {
        let list = tensors
            .into_iter()
            .map(|(name, tensor)| {
                Ok((
                    name.clone(),
                    Var::from_slice(&tensor.values, tensor.shape.as_slice(), device)?,
                ))
            })
            .collect::<Result<_>>()?;
        Ok(Self { list })
    }

    /// The variable called `name`.
    ///
    /// # Errors
    /// When there is none.
    pub fn get(&self, name: &str) -> Result<&Tensor> {
        match self.list.iter().find(|(known, _)| known == name) {
            Some((_, variable)) => Ok(variable.as_tensor()),
            None => candle_core::bail!("there is no variable '{name}'"),
        }
    }

    /// Weight and bias of the layers `name.0` to `name.COUNT`, the last excluded.
    ///
    /// # Errors
    /// When one is missing.
    pub fn layers(&self, name: &str, count: usize) -> Result<Vec<(&Tensor, &Tensor)>> {
        (0..count)
            .map(|layer| {
                let get = |part| self.get(&format!("{name}.{layer}.{part}"));
                Ok((get("weight")?, get("bias")?))
            })
            .collect()
    }

    /// Numbers in all variables together.
    #[must_use]
    pub fn count(&self) -> usize {
        self.list
            .iter()
            .map(|(_, variable)| variable.elem_count())
            .sum()
    }

    /// Where the values of the variable called `name` lie in [`flat`](Self::flat).
    #[must_use]
    pub fn place(&self, name: &str) -> Option<Range<usize>> {
        let mut start = 0;
        for (known, variable) in &self.list {
            let end = start + variable.elem_count();
            if known == name {
                return Some(start..end);
            }
            start = end;
        }
        None
    }

    /// All values in one vector.
    ///
    /// # Errors
    /// When the device refuses.
    pub fn flat(&self) -> Result<Vec<f32>> {
        let mut flat = Vec::with_capacity(self.count());
        for (_, variable) in &self.list {
            flat.extend(variable.flatten_all()?.to_vec1::<f32>()?);
        }
        Ok(flat)
    }

    /// The inverse of [`flat`](Self::flat).
    ///
    /// # Errors
    /// When `flat` has another length.
    pub fn set_flat(&self, flat: &[f32]) -> Result<()> {
        if flat.len() != self.count() {
            candle_core::bail!(
                "{} values for {} variables' numbers",
                flat.len(),
                self.count()
            );
        }
        let mut rest = flat;
        for (_, variable) in &self.list {
            let (values, later) = rest.split_at(variable.elem_count());
            variable.set(&Tensor::from_slice(
                values,
                variable.shape(),
                variable.device(),
            )?)?;
            rest = later;
        }
        Ok(())
    }

    /// Adds the gradients of all variables to `sum`, which is laid out like [`flat`](Self::flat).
    ///
    /// # Errors
    /// Names a variable that has no gradient: an operation without a backward pass would otherwise
    /// leave it untrained in silence.
    pub fn add_gradients(&self, gradients: &GradStore, sum: &mut [f32]) -> Result<()> {
        self.add_gradients_except(gradients, sum, |_| false)
    }

    /// [`add_gradients`](Self::add_gradients); variables whose names are `spared` need not have any.
    ///
    /// # Errors
    /// Names another variable that has no gradient.
    pub fn add_gradients_except(
        &self,
        gradients: &GradStore,
        sum: &mut [f32],
        spared: impl Fn(&str) -> bool,
    ) -> Result<()> {
        let mut rest = sum;
        for (name, variable) in &self.list {
            let (here, later) = rest.split_at_mut(variable.elem_count());
            rest = later;
            let Some(gradient) = gradients.get(variable) else {
                if spared(name) {
                    continue;
                }
                candle_core::bail!("variable '{name}' got no gradient");
            };
            for (sum, value) in here
                .iter_mut()
                .zip(gradient.flatten_all()?.to_vec1::<f32>()?)
            {
                *sum += value;
            }
        }
        Ok(())
    }

    /// The first of `values`, which are laid out like [`flat`](Self::flat), that is infinite or no number,
    /// with the name of its variable.
    #[must_use]
    pub fn not_finite(&self, values: &[f32]) -> Option<(&str, f32)> {
        let index = values.iter().position(|value| !value.is_finite())?;
        let mut end = 0;
        let (name, _) = self.list.iter().find(|(_, variable)| {
            end += variable.elem_count();
            index < end
        })?;
        Some((name, values[index]))
    }

    /// The values with their names and shapes.
    ///
    /// # Errors
    /// When the device refuses.
    pub fn tensors(&self) -> Result<Tensors> {
        self.list
            .iter()
            .map(|(name, variable)| {
                let values = variable.flatten_all()?.to_vec1()?;
                Ok((
                    name.clone(),
                    Values {
                        shape: variable.dims().to_vec(),
                        values,
                    },
                ))
            })
            .collect()
    }
}
