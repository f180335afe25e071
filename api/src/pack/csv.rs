//! CSV for people.

/// A line of a CSV file. What a spreadsheet would take for a formula is kept from being one.
pub(super) fn line(cells: &[String]) -> String {
    let cell = |cell: &String| {
        let formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
        let text = if formula { format!("'{cell}") } else { cell.clone() };
        let quoted = text.contains([',', '"', '\n', '\r']);
        if quoted { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
    };
    cells.iter().map(cell).collect::<Vec<_>>().join(",") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula_and_none_breaks_its_line() {
        let cells = ["=1+1", "a,b", "say \"x\"", "-", "plain"].map(str::to_owned);
        assert_eq!(line(&cells), "'=1+1,\"a,b\",\"say \"\"x\"\"\",'-,plain\n");
    }
}
