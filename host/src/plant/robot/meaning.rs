//! A digest of what a file of a robot means, so that comments, spaces and the order of keys do not count.

use sha2::{Digest, Sha256};

use crate::hexadecimal::hexadecimal;

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// As TOML.
    Toml,
    /// As XML if it is XML, or else in bytes of any kind, which all count.
    Model,
}

/// SHA-256 of what `content` means, in hexadecimal digits.
pub(super) fn sha256(content: &[u8], kind: Kind) -> String {
    let text = std::str::from_utf8(content).ok();
    let canonical = text.and_then(|text| match kind {
        Kind::Toml => {
            let table = text.parse::<toml::Table>().ok()?;
            let mut canonical = String::new();
            write_toml(&toml::Value::Table(table), &mut canonical);
            Some(canonical)
        }
        Kind::Model => {
            let document = roxmltree::Document::parse(text).ok()?;
            let mut canonical = String::new();
            write_xml(document.root_element(), &mut canonical);
            Some(canonical)
        }
    });
    hexadecimal(&match canonical {
        Some(canonical) => Sha256::digest(canonical),
        None => Sha256::digest(content),
    })
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

fn write_xml(element: roxmltree::Node<'_, '_>, into: &mut String) {
    write_text(element.tag_name().name(), into);
    let mut attributes: Vec<_> = element
        .attributes()
        .map(|attribute| (attribute.name(), attribute.value()))
        .collect();
    attributes.sort_unstable();
    for (name, value) in attributes {
        write_text(name, into);
        into.push('=');
        write_text(value, into);
    }
    into.push('{');
    for child in element.children() {
        if child.is_element() {
            write_xml(child, into);
        } else if child.is_text() {
            let text = child.text().unwrap_or_default().trim();
            if !text.is_empty() {
                write_text(text, into);
            }
        }
    }
    into.push('}');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_the_same_has_the_same_digest_and_nothing_else() {
        let toml = |text: &str| sha256(text.as_bytes(), Kind::Toml);
        let own = toml("a = 1\n[b]\nc = [1.5, \"x\"]\n");
        assert_eq!(
            own,
            toml("# why\nb = { c = [ 1.50, 'x' ] }\na = 1.0 # one\n")
        );
        for other in [
            "a = 2\n[b]\nc = [1.5, \"x\"]\n",
            "a = 1\n[b]\nc = [\"x\", 1.5]\n",
            "a = 1\n[d]\nc = [1.5, \"x\"]\n",
        ] {
            assert_ne!(own, toml(other), "{other}");
        }
        let xml = |text: &str| sha256(text.as_bytes(), Kind::Model);
        let own = xml("<a><b c='1' d='2'/><e/></a>");
        assert_eq!(
            own,
            xml("<a>\n  <!-- b --> <b d=\"2\" c=\"1\"></b>\n  <e/></a>\n")
        );
        for other in [
            "<a><e/><b c='1' d='2'/></a>",
            "<a><b c='2' d='1'/><e/></a>",
            "<a><b c='1' d='2'><e/></b></a>",
        ] {
            assert_ne!(own, xml(other), "{other}");
        }
        assert_ne!(xml("solid a"), xml("solid a\n"));
    }
}
