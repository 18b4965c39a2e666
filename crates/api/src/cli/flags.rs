//! One flag per setting, from the table of settings.

use std::collections::BTreeMap;

use anyhow::Result;
use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};

use crate::config::settings::SETTINGS;
use crate::config::{Config, Loaded, Sources};

const CONFIG: &str = "config";

/// Settings given on the command line, by key.
#[derive(Debug, Clone, Default)]
pub(super) struct SettingFlags(BTreeMap<String, String>);

impl SettingFlags {
    /// Without those that were named without a value.
    pub(super) fn without_empty(mut self) -> Self {
        self.0.retain(|_, value| !value.is_empty());
        self
    }

    /// All settings, with those of environment and file.
    pub(super) fn load(self) -> Result<Loaded> {
        // A variable that is not UTF-8 is no setting.
        let env =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Config::load(&Sources { flags: self.0, env: env.collect() })
    }
}

impl FromArgMatches for SettingFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut flags = Self::default();
        flags.update_from_arg_matches(matches)?;
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        let keys = SETTINGS.iter().filter(|setting| !setting.secret).map(|setting| setting.key).chain([CONFIG]);
        for key in keys {
            if let Some(value) = matches.get_one::<String>(key) {
                self.0.insert(key.to_owned(), value.clone());
            }
        }
        Ok(())
    }
}

impl Args for SettingFlags {
    fn augment_args(command: Command) -> Command {
        let help = "The configuration file [default: roadstead.toml in the data directory or in /etc/roadstead]";
        let file = Arg::new(CONFIG).long(CONFIG).value_name("FILE").help(help);
        let flags = SETTINGS.iter().filter(|setting| !setting.secret);
        flags.fold(command.arg(file), |command, setting| {
            let help = format!("{} [env: {}]", setting.help, setting.env());
            command.arg(Arg::new(setting.key).long(setting.flag()).value_name(setting.value).help(help))
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Arguments {
        #[command(flatten)]
        flags: SettingFlags,
    }

    #[test]
    fn every_setting_but_secrets_is_a_flag() {
        let arguments =
            Arguments::try_parse_from(["x", "--data-dir", "/x", "--tls-mode=off", "--config", "f"]).unwrap();
        let expected = [("config", "f"), ("data_dir", "/x"), ("tls.mode", "off")];
        assert_eq!(arguments.flags.0, expected.map(|(key, value)| (key.to_owned(), value.to_owned())).into());
        assert!(Arguments::try_parse_from(["x", "--metrics-token", "secret"]).is_err());
        assert!(Arguments::try_parse_from(["x", "--metrics-token-file", "/x"]).is_ok());
    }
}
