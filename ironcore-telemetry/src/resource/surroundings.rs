//! What detectors look at: variables and files of this machine, never the network.

use std::io::Read as _;

/// The longest value of a detected attribute, in bytes.
const VALUE_LIMIT: usize = 255;
/// The most that is read of one file, in bytes.
const FILE_LIMIT: u64 = 256 * 1024;

/// The variables and the files that a detector can read.
#[derive(Clone, Copy)]
pub(super) struct Surroundings<'a> {
    pub(super) variable: &'a dyn Fn(&str) -> Option<String>,
    pub(super) file: &'a dyn Fn(&str) -> Option<String>,
}

impl Surroundings<'_> {
    pub(super) fn of_this_process() -> Surroundings<'static> {
        Surroundings { variable: &|name| std::env::var(name).ok(), file: &read }
    }

    /// The value of a variable that is set and not empty.
    pub(super) fn variable(&self, name: &str) -> Option<String> {
        (self.variable)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    /// The value of the first of these variables that is set and not empty.
    pub(super) fn first_of(&self, names: &[&str]) -> Option<String> {
        names.iter().find_map(|name| self.variable(name))
    }
}

/// The value as it may become an attribute; `None` for one that is empty, long, or has control characters.
pub(super) fn bounded(value: &str) -> Option<String> {
    let value = value.trim();
    let fits = !value.is_empty() && value.len() <= VALUE_LIMIT && !value.contains(char::is_control);
    fits.then(|| value.to_owned())
}

fn read(path: &str) -> Option<String> {
    let mut bytes = Vec::new();
    std::fs::File::open(path).ok()?.take(FILE_LIMIT).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_is_empty_long_or_unprintable_is_left_out() {
        assert_eq!(bounded(" eu-1\n").as_deref(), Some("eu-1"));
        for bad in ["", "  ", "a\nb", "a\u{0}", &"x".repeat(256)] {
            assert_eq!(bounded(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_no_error() {
        assert_eq!(read("/does/not/exist"), None);
    }
}
