//! A report as Markdown.

use std::fmt::Write as _;

use super::document::{Document, Table};

/// The whole text. Writing to a string cannot fail.
pub(super) fn render(document: &Document<'_>) -> String {
    let mut text = format!(
        "# {}\n\n```\n{}\n```\n",
        escape(&document.title),
        document.command
    );
    for section in &document.sections {
        let _ = write!(text, "\n## {}\n", section.title);
        for paragraph in &section.text {
            let _ = write!(text, "\n{paragraph}\n");
        }
        if let Some(table) = &section.table {
            text.push('\n');
            render_table(table, &mut text);
        }
        for figure in section.figures {
            let caption = escape(&figure.caption);
            let _ = write!(text, "\n![{caption}]({})\n", figure.file);
            let _ = writeln!(text, "{caption}");
        }
    }
    text
}

fn render_table(table: &Table, text: &mut String) {
    let _ = writeln!(text, "| {} |", table.head.join(" | "));
    let rule = (0..table.head.len()).map(|at| {
        if at < table.text_columns {
            "---"
        } else {
            "---:"
        }
    });
    let _ = writeln!(text, "|{}|", rule.collect::<Vec<_>>().join("|"));
    for row in &table.rows {
        let cells: Vec<String> = row.iter().map(|cell| escape(cell)).collect();
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
}

/// Names come from files: they must not break a table or become markup.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '|' | '`' | '*' | '<' | '\\' => {
                escaped.push('\\');
                escaped.push(character);
            }
            '\n' | '\r' => escaped.push(' '),
            _ => escaped.push(character),
        }
    }
    escaped
}
