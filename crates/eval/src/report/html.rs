//! A report as one HTML page: no script, nothing loaded but the pictures beside it.

use std::fmt::Write as _;

use super::document::{Document, Figure, Table};
use super::reliability;

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:75rem;padding:0 1rem;color:#1a1a1a;background:#fff}\
h1,h2{line-height:1.2}.wide{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums}\
th,td{padding:.25rem .6rem;border-bottom:1px solid #d0d0d0;text-align:right;white-space:nowrap}th.text,td.text{text-align:left;white-space:normal}\
pre{background:#f2f2f2;padding:.8rem;overflow-x:auto}.figures{display:flex;flex-wrap:wrap;gap:1rem}figure{margin:0;width:18rem}\
figure img{max-width:100%}figcaption{font-size:.85rem}svg text{font-size:11px}.frame{fill:none;stroke:#888}.perfect{stroke:#888;stroke-dasharray:4}\
circle{fill:#0067b8;fill-opacity:.7}";

/// The whole page. Writing to a string cannot fail.
pub(super) fn render(document: &Document<'_>) -> String {
    let title = htmlize::escape_text(document.title.as_str());
    let mut text = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{title}</title><style>{STYLE}</style></head>\n<body>\n<h1>{title}</h1>\n<pre>{}</pre>\n",
        htmlize::escape_text(document.command)
    );
    for section in &document.sections {
        let _ = writeln!(text, "<h2>{}</h2>", section.title);
        for paragraph in &section.text {
            let _ = writeln!(text, "<p>{}</p>", htmlize::escape_text(paragraph.as_str()));
        }
        if let Some(table) = &section.table {
            render_table(table, &mut text);
        }
        for diagram in &section.diagrams {
            let picture = reliability::svg(diagram.title, diagram.calibration);
            let _ = writeln!(
                text,
                "<figure>{picture}<figcaption>{}</figcaption></figure>",
                diagram.title
            );
        }
        if !section.figures.is_empty() {
            text.push_str("<div class=\"figures\">\n");
            section
                .figures
                .iter()
                .for_each(|figure| render_figure(figure, &mut text));
            text.push_str("</div>\n");
        }
    }
    text + "</body>\n</html>\n"
}

fn render_figure(figure: &Figure<'_>, text: &mut String) {
    let caption = htmlize::escape_attribute(figure.caption.as_str());
    let _ = writeln!(
        text,
        "<figure><img src=\"{}\" alt=\"{caption}\" loading=\"lazy\"><figcaption>{caption}</figcaption></figure>",
        htmlize::escape_attribute(figure.file.as_str())
    );
}

fn render_table(table: &Table, text: &mut String) {
    let class = |at: usize| {
        if at < table.text_columns {
            " class=\"text\""
        } else {
            ""
        }
    };
    text.push_str("<div class=\"wide\"><table>\n<thead><tr>");
    for (at, name) in table.head.iter().enumerate() {
        let _ = write!(text, "<th scope=\"col\"{}>{name}</th>", class(at));
    }
    text.push_str("</tr></thead>\n<tbody>\n");
    for row in &table.rows {
        text.push_str("<tr>");
        for (at, cell) in row.iter().enumerate() {
            let _ = write!(
                text,
                "<td{}>{}</td>",
                class(at),
                htmlize::escape_text(cell.as_str())
            );
        }
        text.push_str("</tr>\n");
    }
    text.push_str("</tbody></table></div>\n");
}
