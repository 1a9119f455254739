//! A digest of what a robot's own file means, so that comments, spaces and the order of keys do not count.

use sha2::{Digest, Sha256};

/// SHA-256 of what the text of a robot's file means, in hexadecimal digits; what is no TOML means every byte of it.
pub(super) fn sha256(text: &str) -> String {
    let mut canonical = String::new();
    match text.parse::<toml::Table>() {
        Ok(table) => write_toml(&toml::Value::Table(table), &mut canonical),
        Err(_) => text.clone_into(&mut canonical),
    }
    hex::encode(Sha256::digest(canonical))
}

/// Texts in quotes, with lengths, so that no two values are written alike.
fn write_text(text: &str, into: &mut String) {
    into.push_str(&format!("{}'{text}'", text.len()));
}

fn write_toml(value: &toml::Value, into: &mut String) {
    match value {
        toml::Value::String(text) => write_text(text, into),
        // 1 and 1.0 are the same number to everything that reads it.
        toml::Value::Integer(number) => into.push_str(&format!("{:?}", *number as f64)),
        toml::Value::Float(number) => into.push_str(&format!("{number:?}")),
        toml::Value::Boolean(is_true) => into.push_str(&format!("{is_true}")),
        toml::Value::Datetime(time) => into.push_str(&format!("{time}")),
        toml::Value::Array(entries) => {
            into.push('[');
            for entry in entries {
                write_toml(entry, into);
                into.push(',');
            }
            into.push(']');
        }
        toml::Value::Table(table) => {
            let mut entries: Vec<_> = table.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            into.push('{');
            for (key, entry) in entries {
                write_text(key, into);
                into.push('=');
                write_toml(entry, into);
                into.push(',');
            }
            into.push('}');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_the_same_has_the_same_digest_and_nothing_else() {
        let own = sha256("a = 1\n[b]\nc = [1.5, \"x\"]\n");
        assert_eq!(
            own,
            sha256("# why\nb = { c = [ 1.50, 'x' ] }\na = 1.0 # one\n")
        );
        for other in [
            "a = 2\n[b]\nc = [1.5, \"x\"]\n",
            "a = 1\n[b]\nc = [\"x\", 1.5]\n",
            "a = 1\n[d]\nc = [1.5, \"x\"]\n",
        ] {
            assert_ne!(own, sha256(other), "{other}");
        }
    }
}
