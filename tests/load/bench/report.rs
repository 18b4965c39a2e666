//! Ratios, and the table they go to.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Context as _;

/// One comparison.
#[derive(Debug)]
pub struct Row {
    /// What was measured, with its unit.
    pub what: String,
    /// Ours: median.
    pub ours: f64,
    /// What stands beside it.
    pub beside: Option<Beside>,
    /// What `quality.md` asks for.
    pub target: &'static str,
}

/// The other side of a comparison.
#[derive(Debug)]
pub struct Beside {
    /// What it is.
    pub name: &'static str,
    /// Its median.
    pub theirs: f64,
    /// Median of the ratios block by block.
    pub ratio: f64,
}

/// The comparisons of one benchmark.
#[derive(Debug, Default)]
pub struct Report {
    rows: Vec<Row>,
    notes: Vec<String>,
}

impl Report {
    /// Adds a comparison from one value per block of each side.
    pub fn compare(&mut self, what: &str, ours: &[f64], beside: &'static str, theirs: &[f64], target: &'static str) {
        let ratios: Vec<_> = ours.iter().zip(theirs).map(|(a, b)| a / b).collect();
        let beside = Beside { name: beside, theirs: median(theirs), ratio: median(&ratios) };
        self.rows.push(Row { what: what.to_owned(), ours: median(ours), beside: Some(beside), target });
    }

    /// Adds a figure that has nothing beside it.
    pub fn figure(&mut self, what: &str, ours: &[f64], target: &'static str) {
        self.rows.push(Row { what: what.to_owned(), ours: median(ours), beside: None, target });
    }

    /// Adds a sentence below the table.
    pub fn note(&mut self, text: String) {
        self.notes.push(text);
    }

    /// Prints the table.
    pub fn print(&self) {
        println!("{}", self.table());
    }

    /// Appends the table to `tests/load/RESULTS.md`, with date, commit and command.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn append(&self, name: &str) -> anyhow::Result<()> {
        let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/load/RESULTS.md"));
        let before = fs::read_to_string(&path).unwrap_or_default();
        let commit = output("git", &["describe", "--always", "--dirty"])?;
        let date = output("date", &["-u", "+%Y-%m-%d"])?;
        let heading = format!("\n## `{name}`, {date}, {commit}\n\n`cargo xtask bench {name}`\n\n");
        fs::write(&path, before + &heading + &self.table()).with_context(|| path.display().to_string())
    }

    fn table(&self) -> String {
        let mut text = "| what | ours | beside | theirs | ratio | target |\n|---|--:|---|--:|--:|--:|\n".to_owned();
        for row in &self.rows {
            let Row { what, ours, beside, target } = row;
            let beside = beside.as_ref().map_or("– | – | –".to_owned(), |Beside { name, theirs, ratio }| {
                format!("{name} | {theirs:.3} | {ratio:.3}")
            });
            text += &format!("| {what} | {ours:.3} | {beside} | {target} |\n");
        }
        for note in &self.notes {
            text += &format!("\n{note}\n");
        }
        text
    }
}

/// The middle value; NaN of nothing.
#[must_use]
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

fn output(program: &str, args: &[&str]) -> anyhow::Result<String> {
    let output = Command::new(program).args(args).output().with_context(|| program.to_owned())?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
