//! One table of all figures, for people and for programs.

use serde::Serialize;

/// What a figure counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Unit {
    /// Events a second.
    #[serde(rename = "events/s")]
    Rate,
    /// Runs a second.
    #[serde(rename = "runs/s")]
    Runs,
    /// Something for each 1,000 of something else.
    #[serde(rename = "per 1,000")]
    PerThousand,
    /// Milliseconds.
    #[serde(rename = "ms")]
    Millis,
    /// Megabytes (2^20 bytes).
    #[serde(rename = "MB")]
    Megabytes,
    /// Kilobytes (2^10 bytes).
    #[serde(rename = "KiB")]
    Kilobytes,
    /// How many times something else.
    #[serde(rename = "times")]
    Times,
}

/// One row of the table: what was measured, again and again.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// What was measured.
    pub name: String,
    /// What its figures count.
    pub unit: Unit,
    /// All figures, sorted.
    pub figures: Vec<f64>,
    /// Their median.
    pub median: f64,
    /// The median by that of COPY, of rates on PostgreSQL.
    pub by_copy: Option<f64>,
    /// The median by that of `postgres-es` at its best.
    pub by_baseline: Option<f64>,
    /// What is aimed at.
    pub aim: Option<String>,
    /// Whether it is reached.
    pub reached: Option<bool>,
}

/// What a row is to reach.
#[derive(Clone, Copy, Debug)]
pub enum Aim {
    /// At least this part of the limit.
    OfCopy(f64),
    /// At least this many times the baseline.
    TimesBaseline(f64),
    /// At least this much.
    AtLeast(f64),
    /// At most this much.
    AtMost(f64),
}

/// The figures of one sitting.
#[derive(Debug, Default)]
pub struct Report {
    rows: Vec<(String, Unit, Vec<f64>, Option<Aim>)>,
}

/// The row that others are compared with: the limit.
pub const COPY: &str = "COPY of the same rows (the limit)";
/// The rows that others are compared with: the baseline begins its names so.
pub const BASELINE: &str = "postgres-es execute";

impl Report {
    /// Adds a figure to the row `name`; a new name makes a new row.
    pub fn add(&mut self, name: impl Into<String>, unit: Unit, figure: f64) {
        let name = name.into();
        match self.rows.iter_mut().find(|(known, ..)| *known == name) {
            Some((_, _, figures, _)) => figures.push(figure),
            None => self.rows.push((name, unit, vec![figure], None)),
        }
    }

    /// Says what a row is to reach.
    pub fn aim(&mut self, name: &str, aim: Aim) {
        if let Some(row) = self.rows.iter_mut().find(|(known, ..)| known == name) {
            row.3 = Some(aim);
        }
    }

    /// The median of a row.
    pub fn median(&self, name: &str) -> Option<f64> {
        self.rows.iter().find(|(known, ..)| known == name).map(|(_, _, figures, _)| median(figures))
    }

    /// The rows with medians and ratios.
    pub fn rows(&self) -> Vec<Row> {
        let copy = self.median(COPY);
        let baseline = self
            .rows
            .iter()
            .filter(|(name, unit, ..)| name.starts_with(BASELINE) && *unit == Unit::Rate)
            .map(|(_, _, figures, _)| median(figures))
            .reduce(f64::max);
        self.rows
            .iter()
            .map(|(name, unit, figures, aim)| {
                let median = median(figures);
                let by = |other: Option<f64>| {
                    other.filter(|_| *unit == Unit::Rate && !name.contains("SQLite"))
                };
                let (by_copy, by_baseline) =
                    (by(copy).map(|all| median / all), by(baseline).map(|all| median / all));
                let mut figures = figures.clone();
                figures.sort_by(f64::total_cmp);
                let (aim, reached) = judged(*aim, median, by_copy, by_baseline, *unit);
                let (name, unit) = (name.clone(), *unit);
                Row { name, unit, figures, median, by_copy, by_baseline, aim, reached }
            })
            .collect()
    }
}

fn judged(
    aim: Option<Aim>,
    median: f64,
    by_copy: Option<f64>,
    by_baseline: Option<f64>,
    unit: Unit,
) -> (Option<String>, Option<bool>) {
    match aim {
        None => (None, None),
        Some(Aim::OfCopy(part)) => {
            (Some(format!("≥ {part} of COPY")), by_copy.map(|ratio| ratio >= part))
        }
        Some(Aim::TimesBaseline(times)) => {
            (Some(format!("≥ {times} × postgres-es")), by_baseline.map(|ratio| ratio >= times))
        }
        Some(Aim::AtLeast(least)) => {
            (Some(format!("≥ {}", written(least, unit))), Some(median >= least))
        }
        Some(Aim::AtMost(most)) => {
            (Some(format!("≤ {}", written(most, unit))), Some(median <= most))
        }
    }
}

fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => 0.0,
        odd if odd % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

fn written(figure: f64, unit: Unit) -> String {
    match unit {
        Unit::Rate | Unit::Runs => {
            let digits = format!("{figure:.0}");
            let mut text = String::new();
            for (place, digit) in digits.chars().enumerate() {
                if place > 0 && (digits.len() - place).is_multiple_of(3) {
                    text.push(',');
                }
                text.push(digit);
            }
            text + "/s"
        }
        Unit::PerThousand => format!("{figure:.1} per 1,000"),
        Unit::Millis => format!("{figure:.2} ms"),
        Unit::Megabytes => format!("{figure:.1} MB"),
        Unit::Kilobytes => format!("{figure:.1} KiB"),
        Unit::Times => format!("{figure:.2} ×"),
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ratio = |ratio: Option<f64>| ratio.map_or_else(String::new, |r| format!("{r:.2}"));
        let cells: Vec<[String; 7]> = self
            .rows()
            .iter()
            .map(|row| {
                let ends = [row.figures.first(), row.figures.last()];
                let [least, most] = ends.map(|end| end.map_or(0.0, |figure| *figure));
                let range = match row.figures.len() {
                    0 | 1 => String::new(),
                    _ => format!("{} – {}", written(least, row.unit), written(most, row.unit)),
                };
                let verdict = match row.reached {
                    None => "",
                    Some(true) => "reached",
                    Some(false) => "below",
                };
                [
                    row.name.clone(),
                    written(row.median, row.unit),
                    range,
                    ratio(row.by_copy),
                    ratio(row.by_baseline),
                    row.aim.clone().unwrap_or_default(),
                    verdict.to_owned(),
                ]
            })
            .collect();
        let head = ["", "median", "range", "× COPY", "× postgres-es", "aim", ""].map(str::to_owned);
        let wide = |column: usize| {
            std::iter::once(&head).chain(&cells).map(|row| row[column].chars().count()).max()
        };
        let widths: Vec<usize> = (0..head.len()).map(|column| wide(column).unwrap_or(0)).collect();
        for row in std::iter::once(&head).chain(&cells) {
            let mut line = String::new();
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                let left = column == 0 || column >= 5;
                let pad = " ".repeat(width - cell.chars().count());
                line += &if left { format!("{cell}{pad}  ") } else { format!("{pad}{cell}  ") };
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_compared_by_their_medians() {
        let mut report = Report::default();
        for figure in [300.0, 100.0, 200.0] {
            report.add(COPY, Unit::Rate, figure);
        }
        report.add("postgres-es execute, 1 caller", Unit::Rate, 5.0);
        report.add("postgres-es execute, 8 callers", Unit::Rate, 10.0);
        report.add("postgres-es execute, 8 callers, p99", Unit::Millis, 900.0);
        report.add("ours", Unit::Rate, 100.0);
        report.aim("ours", Aim::OfCopy(0.5));
        let rows = report.rows();
        let ours = &rows[4];
        assert_eq!((ours.by_copy, ours.by_baseline), (Some(0.5), Some(10.0)));
        assert_eq!(ours.reached, Some(true));
        assert!(report.to_string().contains("reached"), "{report}");
    }

    #[test]
    fn large_figures_are_written_in_groups() {
        assert_eq!(written(1_234_567.0, Unit::Rate), "1,234,567/s");
        assert_eq!(written(999.0, Unit::Rate), "999/s");
    }
}
