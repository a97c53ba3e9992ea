//! A recipe of either kind: a TOML file, and overrides from the command line.
//!
//! `recipes/train_torch.py` reads the same files, `recipes/train_recurrent.py` those of recurrent models.
//!
//! A recipe is validated once, in [`AnyRecipe::from_toml`](crate::recipe::AnyRecipe::from_toml); everything later trusts it.

use anyhow::Result;

use crate::recipe_parts::{Budget, LogConfig, parse};
use crate::recurrent::RecurrentRecipe;
use crate::transformer::Recipe;

/// A recipe of either kind, by what its `[model]` says.
#[derive(Debug, Clone)]
pub enum AnyRecipe {
    /// Of a transformer.
    Transformer(Recipe),
    /// Of a recurrent model: `mixer` is in `[model]`.
    Recurrent(RecurrentRecipe),
}

impl From<Recipe> for AnyRecipe {
    fn from(recipe: Recipe) -> Self {
        Self::Transformer(recipe)
    }
}

impl From<RecurrentRecipe> for AnyRecipe {
    fn from(recipe: RecurrentRecipe) -> Self {
        Self::Recurrent(recipe)
    }
}

impl AnyRecipe {
    /// Reads a recipe: see [`Recipe::from_toml`].
    ///
    /// # Errors
    /// As there.
    pub fn from_toml(text: &str, overrides: &[String]) -> Result<Self> {
        let table = parse(text, overrides)?;
        Ok(match table.get("model").and_then(|model| model.get("mixer")) {
            Some(_) => Self::Recurrent(RecurrentRecipe::from_toml(text, overrides)?),
            None => Self::Transformer(Recipe::from_toml(text, overrides)?),
        })
    }

    /// The recipe with every default written out.
    pub fn to_toml(&self) -> Result<String> {
        Ok(match self {
            Self::Transformer(recipe) => toml::to_string(recipe),
            Self::Recurrent(recipe) => toml::to_string(recipe),
        }?)
    }

    /// The model's name.
    pub fn name(&self) -> &str {
        match self {
            Self::Transformer(recipe) => &recipe.name,
            Self::Recurrent(recipe) => &recipe.name,
        }
    }

    /// To set the model's name.
    pub fn name_mut(&mut self) -> &mut String {
        match self {
            Self::Transformer(recipe) => &mut recipe.name,
            Self::Recurrent(recipe) => &mut recipe.name,
        }
    }

    /// Sequences of a pass.
    pub fn batch(&self) -> usize {
        match self {
            Self::Transformer(recipe) => recipe.optim.batch,
            Self::Recurrent(recipe) => recipe.optim.rows,
        }
    }

    /// Every how many steps.
    pub fn log(&self) -> &LogConfig {
        match self {
            Self::Transformer(recipe) => &recipe.log,
            Self::Recurrent(recipe) => &recipe.log,
        }
    }

    /// How long.
    pub fn budget(&self) -> Budget {
        let budget = match self {
            Self::Transformer(recipe) => recipe.budget(),
            Self::Recurrent(recipe) => recipe.budget(),
        };
        budget.expect("a recipe has one budget")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mixer_tells_the_kind() {
        for (name, is_recurrent) in [("byte-200k", false), ("recurrent-1m", true)] {
            let path = format!("{}/../../recipes/{name}.toml", env!("CARGO_MANIFEST_DIR"));
            let text = std::fs::read_to_string(path).unwrap();
            let recipe = AnyRecipe::from_toml(&text, &["optim.steps=1".into()]).unwrap();
            assert_eq!(matches!(recipe, AnyRecipe::Recurrent(_)), is_recurrent, "{name}");
            let text = recipe.to_toml().unwrap();
            assert_eq!(AnyRecipe::from_toml(&text, &[]).unwrap().to_toml().unwrap(), text);
        }
    }
}
