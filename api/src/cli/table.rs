//! Tables for people: one line a row where there is room, never wider than the terminal.

use console::Style;
use runledger_projections::rules::guidance::Severity;

use super::output::terminal_width;

/// Between two columns.
const GAP: usize = 2;
/// How narrow the column of sentences may become before they go below their rows.
const SENTENCE: usize = 36;
/// How narrow any other column may become.
const NARROW: usize = 6;

/// Rows below a heading.
#[derive(Debug)]
pub(super) struct Table {
    heads: Vec<&'static str>,
    least: Vec<usize>,
    rows: Vec<Row>,
    sentences: &'static str,
}

/// A row, and the sentence that belongs to it.
#[derive(Debug, Default)]
pub(super) struct Row {
    cells: Vec<Cell>,
    sentence: Option<Cell>,
}

/// A text in one colour.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    text: String,
    style: Style,
}

impl Table {
    /// A table with these columns; the sentences of its rows are guidance.
    pub(super) fn new(heads: impl IntoIterator<Item = &'static str>) -> Self {
        let heads: Vec<_> = heads.into_iter().collect();
        let least = heads.iter().map(|head| head.len()).collect();
        Table { least, heads, rows: Vec::new(), sentences: "GUIDANCE" }
    }

    /// The same, where the sentences of rows are something else.
    pub(super) fn with_sentences(self, sentences: &'static str) -> Self {
        Table { sentences, ..self }
    }

    /// The same with columns of at least these widths, so that tables below each other line up.
    pub(super) fn with_least(self, least: impl IntoIterator<Item = usize>) -> Self {
        Table { least: least.into_iter().collect(), ..self }
    }

    /// Adds a row.
    pub(super) fn row(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// Whether it has no rows.
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Its lines, for the terminal that standard output is, if it is one.
    pub(super) fn lines(&self) -> Vec<String> {
        self.lines_of(terminal_width())
    }

    /// The same, each line this far from the margin.
    pub(super) fn indented_lines(&self, indent: usize) -> Vec<String> {
        let lines = self.lines_of(terminal_width().map(|width| width.saturating_sub(indent)));
        lines.iter().map(|line| format!("{:indent$}{line}", "")).collect()
    }

    /// Its lines, with nothing cut and nothing broken.
    pub(super) fn whole_lines(&self) -> Vec<String> {
        self.lines_of(None)
    }

    fn lines_of(&self, width: Option<usize>) -> Vec<String> {
        let widths = self.widths(width);
        let taken: usize = widths.iter().map(|width| width + GAP).sum();
        let beside = match width {
            None => Some(usize::MAX),
            Some(width) => width.checked_sub(taken).filter(|room| *room >= SENTENCE),
        };
        let mut lines = Vec::new();
        if self.heads.iter().any(|head| !head.is_empty()) {
            let heads = self.heads.iter().map(|head| Cell::new(*head).dim());
            let said = beside.is_some() && self.rows.iter().any(|row| row.sentence.is_some());
            let sentence = Cell::new(if said { self.sentences } else { "" }).dim();
            lines.push(line(heads.zip(&widths), sentence.to_string().trim_end()));
        }
        for row in &self.rows {
            let cells = || row.cells.iter().cloned().zip(&widths);
            let Some(sentence) = &row.sentence else {
                lines.push(line(cells(), ""));
                continue;
            };
            let (room, indent) = match (beside, width) {
                (Some(room), _) => (room, taken),
                (None, width) => (width.unwrap_or(80).saturating_sub(GAP), GAP),
            };
            let mut parts = wrap(&sentence.text, room).into_iter();
            let paint = |part: String| sentence.style.apply_to(part).to_string();
            let first = if beside.is_some() { parts.next() } else { None };
            lines.push(line(cells(), &first.map(paint).unwrap_or_default()));
            lines.extend(parts.map(|part| format!("{:indent$}{}", "", paint(part))));
        }
        lines
    }

    /// How wide each column is. Where there is not room enough, the widest give way.
    fn widths(&self, width: Option<usize>) -> Vec<usize> {
        let mut widths = self.least.clone();
        for row in &self.rows {
            for (widest, cell) in widths.iter_mut().zip(&row.cells) {
                *widest = (*widest).max(console::measure_text_width(&cell.text));
            }
        }
        let Some(width) = width else { return widths };
        let room = width.saturating_sub(widths.len().saturating_sub(1) * GAP);
        while widths.iter().sum::<usize>() > room {
            match widths.iter_mut().max() {
                Some(widest) if *widest > NARROW => *widest -= 1,
                _ => break,
            }
        }
        widths
    }
}

impl Row {
    /// A row of these cells.
    pub(super) fn of(cells: impl IntoIterator<Item = Cell>) -> Self {
        Row { cells: cells.into_iter().collect(), sentence: None }
    }

    /// The same with a sentence beside it, or below it where the terminal is narrow.
    pub(super) fn saying(self, sentence: Cell) -> Self {
        Row { sentence: Some(sentence), ..self }
    }
}

impl Cell {
    /// A text as it is, less what would move a terminal's cursor.
    pub(super) fn new(text: impl Into<String>) -> Self {
        Cell { text: printable(&text.into()), style: Style::new() }
    }

    /// What may be missing.
    pub(super) fn maybe(text: Option<impl Into<String>>) -> Self {
        text.map_or_else(|| Cell::new("-").dim(), Cell::new)
    }

    /// The same, stepping back.
    pub(super) fn dim(self) -> Self {
        Cell { style: Style::new().dim(), ..self }
    }

    /// The same, stepping forward.
    pub(super) fn bold(self) -> Self {
        Cell { style: Style::new().bold(), ..self }
    }

    /// The same, as loud as this. The text alone says it as well.
    pub(super) fn loud(self, severity: Severity) -> Self {
        let style = match severity {
            Severity::Calm => Style::new(),
            Severity::Notice => Style::new().cyan(),
            Severity::Warning => Style::new().yellow(),
            Severity::Attention => Style::new().red(),
            Severity::Done => Style::new().dim(),
        };
        Cell { style, ..self }
    }
}

impl std::fmt::Display for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.style.apply_to(&self.text).fmt(f)
    }
}

/// Breaks a text into lines of at most `width` columns, between words where it can.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace().flat_map(|word| pieces(word, width)) {
        let full = |line: &String| {
            !line.is_empty()
                && console::measure_text_width(line) + 1 + console::measure_text_width(word) > width
        };
        match lines.last_mut() {
            Some(line) if !full(line) => {
                if !line.is_empty() {
                    line.push(' ');
                }
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// A word in pieces that fit a line; most words are one.
fn pieces(word: &str, width: usize) -> Vec<&str> {
    let (mut pieces, mut begin, mut taken) = (Vec::new(), 0, 0);
    for (at, letter) in word.char_indices() {
        let wide = console::measure_text_width(letter.encode_utf8(&mut [0; 4]));
        if taken + wide > width && at > begin {
            pieces.push(&word[begin..at]);
            (begin, taken) = (at, 0);
        }
        taken += wide;
    }
    pieces.push(&word[begin..]);
    pieces
}

/// What sources sent may hold anything; a terminal is shown only what it prints.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn line<'a>(cells: impl Iterator<Item = (Cell, &'a usize)>, last: &str) -> String {
    let mut line = String::new();
    for (cell, width) in cells {
        let text = console::truncate_str(&cell.text, *width, "…");
        let padding = width.saturating_sub(console::measure_text_width(&text)) + GAP;
        line.push_str(&cell.style.apply_to(text).to_string());
        line.extend(std::iter::repeat_n(' ', padding));
    }
    line.push_str(last);
    line.truncate(line.trim_end().len());
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(["RUN", "OPERATION"]);
        let row = Row::of([Cell::new("1"), Cell::new("backup.set.create")]);
        let sentence = "A later run has done the same work. Nothing is left to do here.";
        table.row(row.saying(Cell::new(sentence)));
        table.row(Row::of([Cell::new("2"), Cell::new("policy.sync")]));
        table
    }

    #[test]
    fn a_sentence_stands_beside_its_row_where_there_is_room() {
        let lines = table().lines_of(Some(70));
        assert_eq!(
            lines,
            [
                "RUN  OPERATION          GUIDANCE",
                "1    backup.set.create  A later run has done the same work. Nothing is",
                "                        left to do here.",
                "2    policy.sync",
            ]
        );
    }

    #[test]
    fn a_sentence_stands_below_its_row_where_the_terminal_is_narrow() {
        let lines = table().lines_of(Some(40));
        assert_eq!(
            lines,
            [
                "RUN  OPERATION",
                "1    backup.set.create",
                "  A later run has done the same work.",
                "  Nothing is left to do here.",
                "2    policy.sync",
            ]
        );
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        for width in 20..120 {
            for line in table().lines_of(Some(width)) {
                assert!(console::measure_text_width(&line) <= width, "{width}: {line}");
            }
        }
    }

    #[test]
    fn without_a_terminal_a_row_is_a_line_and_nothing_is_cut() {
        let lines = table().lines_of(None);
        assert_eq!(lines.len(), 3);
        assert!(lines[1].ends_with("work. Nothing is left to do here."), "{}", lines[1]);
    }

    #[test]
    fn a_word_that_fits_no_line_is_broken() {
        assert_eq!(wrap("see abcdefgh", 5), ["see", "abcde", "fgh"]);
        assert_eq!(wrap("", 5), [""]);
    }

    #[test]
    fn what_a_source_sent_moves_no_cursor() {
        assert_eq!(Cell::new("a\u{1b}[2J\nb").to_string(), "a [2J b");
    }
}
