//! `roadstead config check`.

use super::flags::SettingFlags;
use super::{Failure, complain, say};

pub(super) fn check(flags: SettingFlags) -> Result<(), Failure> {
    let loaded = flags.load()?;
    for warning in &loaded.warnings {
        complain(format_args!("warning: {warning}"));
    }
    match &loaded.file {
        Some(file) => say(format_args!("# configuration file: {}", file.display()))?,
        None => say("# configuration file: none")?,
    }
    let width = loaded.effective.iter().map(|shown| shown.key.len()).max().unwrap_or_default();
    for shown in &loaded.effective {
        let value = if shown.value.is_empty() { "(not set)" } else { &shown.value };
        say(format_args!("{:width$} = {value}  # {}", shown.key, shown.place))?;
    }
    Ok(())
}
