//! One HTML page that carries everything it needs: style, words, tables and figures.

use std::fmt::Write as _;

use super::svg::{STYLE, Svg, escape};

const PAGE_STYLE: &str = "\
:root{color-scheme:light dark;--ink:#16202a;--soft:#52606d;--paper:#fff;--card:#f6f8fa;--rule:#e3e8ee;--accent:#1f6feb}\
@media (prefers-color-scheme:dark){:root{--ink:#e6edf3;--soft:#9aa7b4;--paper:#0d1117;--card:#151b23;--rule:#262e38;--accent:#58a6ff}}\
*{box-sizing:border-box}body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.55 system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif}\
main{max-width:1120px;margin:0 auto;padding:28px 18px 64px}h1{font-size:1.9rem;line-height:1.2;margin:.2em 0}h2{font-size:1.25rem;margin:2.4em 0 .4em}\
p{max-width:46em;margin:.5em 0;color:var(--soft);overflow-wrap:anywhere}p.lead{font-size:1.08rem}\
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;margin:22px 0}\
.fact{background:var(--card);border-radius:10px;padding:14px 16px}.fact b{display:block;font-size:1.55rem;line-height:1.2;font-variant-numeric:tabular-nums}\
.fact span{color:var(--soft);font-size:.86rem}.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,440px),1fr));gap:22px}\
.figures.wide{grid-template-columns:1fr}.wide figure{max-width:1120px}.middle figure{max-width:760px}\
figure{margin:14px 0 0;min-width:0;overflow-x:auto}.wide svg{min-width:760px}.middle svg{min-width:520px}figcaption{color:var(--soft);font-size:.9rem;margin:0 0 6px}figcaption b{color:var(--ink)}figure svg{width:100%;height:auto;display:block}\
.scroll{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.94rem;margin:10px 0}\
th,td{text-align:right;padding:6px 14px 6px 0;border-bottom:1px solid var(--rule);white-space:nowrap}th:first-child,td:first-child{text-align:left}\
th{color:var(--soft);font-weight:600}code{background:var(--card);border-radius:5px;padding:.1em .35em;font-size:.9em;overflow-wrap:anywhere}";

/// A page in the making.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    title: String,
    body: String,
}

/// How wide the figures of a group are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Width {
    /// Several beside each other where there is room.
    Small,
    /// One below the other, at reading width.
    Middle,
    /// One below the other, as wide as the page.
    Wide,
}

impl Page {
    /// Begins a page with its heading and one sentence.
    #[must_use]
    pub(crate) fn new(title: &str, lead: &str) -> Self {
        let title = escape(title);
        let body = format!("<h1>{title}</h1><p class=\"lead\">{}</p>", escape(lead));
        Self { title, body }
    }

    /// Large numbers, each with what it is.
    pub(crate) fn facts(&mut self, facts: &[(String, String)]) {
        self.body.push_str("<div class=\"facts\">");
        for (value, meaning) in facts {
            let _ = write!(
                self.body,
                "<div class=\"fact\"><b>{}</b><span>{}</span></div>",
                escape(value),
                escape(meaning)
            );
        }
        self.body.push_str("</div>");
    }

    /// A section's heading and its words.
    pub(crate) fn section(&mut self, heading: &str, words: &str) {
        let _ = write!(self.body, "<h2>{}</h2>", escape(heading));
        if !words.is_empty() {
            self.words(words);
        }
    }

    /// A paragraph.
    pub(crate) fn words(&mut self, words: &str) {
        let _ = write!(self.body, "<p>{}</p>", escape(words));
    }

    /// A command line to copy.
    pub(crate) fn command(&mut self, line: &str) {
        let _ = write!(self.body, "<p><code>{}</code></p>", escape(line));
    }

    /// A table; the first column is text, the others are numbers.
    pub(crate) fn table(&mut self, head: &[&str], rows: &[Vec<String>]) {
        self.body.push_str("<div class=\"scroll\"><table><tr>");
        for name in head {
            let _ = write!(self.body, "<th>{}</th>", escape(name));
        }
        self.body.push_str("</tr>");
        for row in rows {
            self.body.push_str("<tr>");
            for cell in row {
                let _ = write!(self.body, "<td>{}</td>", escape(cell));
            }
            self.body.push_str("</tr>");
        }
        self.body.push_str("</table></div>");
    }

    /// Figures with their captions.
    pub(crate) fn figures(&mut self, width: Width, figures: &[(String, Svg)]) {
        let class = match width {
            Width::Small => "figures",
            Width::Middle => "figures wide middle",
            Width::Wide => "figures wide",
        };
        let _ = write!(self.body, "<div class=\"{class}\">");
        for (caption, figure) in figures {
            self.body.push_str("<figure>");
            if !caption.is_empty() {
                let _ = write!(
                    self.body,
                    "<figcaption><b>{}</b></figcaption>",
                    escape(caption)
                );
            }
            let _ = write!(self.body, "{}</figure>", figure.inline());
        }
        self.body.push_str("</div>");
    }

    /// The whole page.
    #[must_use]
    pub(crate) fn html(&self) -> String {
        format!(
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>{}</title>\
             <style>{PAGE_STYLE}{STYLE}</style></head><body><main>{}</main></body></html>\n",
            self.title, self.body
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_needs_nothing_from_elsewhere() {
        let mut page = Page::new("a <b>", "lead");
        page.facts(&[("95 %".into(), "upright".into())]);
        page.section("numbers", "words & more");
        page.table(&["x", "y"], &[vec!["1".into(), "2".into()]]);
        page.figures(
            Width::Middle,
            &[("curve".into(), Svg::new(10.0, 10.0, "curve"))],
        );
        let html = page.html();
        assert!(html.contains("a &lt;b&gt;") && html.contains("words &amp; more"));
        assert!(!html.contains("http") && !html.contains("<script"));
    }
}
