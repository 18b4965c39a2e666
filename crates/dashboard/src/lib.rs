//! Embeds the built dashboard.
