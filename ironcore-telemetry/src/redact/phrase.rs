//! A recovery phrase whose words stand in consecutive fields.

use super::words;

/// Follows the fields of one record in their order, to find a phrase that is spread over them.
///
/// The writer keeps where each field begins. When [`push`](Self::push) returns a field, the values of that field and of
/// all fields from it to the last one are masked as [`Kind::Mnemonic`](super::Kind::Mnemonic).
#[derive(Debug, Default)]
pub(crate) struct Phrase {
    /// Fields so far.
    fields: usize,
    /// The field in which the row of words begins.
    first: usize,
    /// Words in the row.
    words: usize,
}

impl Phrase {
    /// The value of the next field, unmasked. Returns the first field of the phrase that this one continues.
    pub(crate) fn push(&mut self, value: &str) -> Option<usize> {
        let field = self.fields;
        self.fields += 1;
        let (leading, trailing, is_whole) = words::at_the_ends(value.as_bytes());
        let row = self.words + leading;
        let first = if self.words == 0 { field } else { self.first };
        if is_whole {
            (self.words, self.first) = (row, first);
        } else {
            (self.words, self.first) = (trailing, field);
        }
        (leading > 0 && row >= words::PHRASE && first < field).then_some(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_in_consecutive_fields_are_one_phrase() {
        let mut phrase = Phrase::default();
        let fields =
            ["mainnet 7", "legal", "winner", "thank year", "wave", "sausage", "worth,", "USEFUL", "legal", "x"];
        let found: Vec<_> = fields.iter().map(|value| phrase.push(value)).collect();
        assert_eq!(found, [None, None, None, None, None, None, None, None, Some(1), None]);
    }

    #[test]
    fn a_field_that_is_no_word_ends_the_row() {
        let mut phrase = Phrase::default();
        let fields = ["legal", "winner", "thank", "year", "wave", "42 wallets", "sausage", "worth", "useful", "legal"];
        assert!(fields.iter().all(|value| phrase.push(value).is_none()));
    }

    #[test]
    fn fields_that_are_flags_are_no_phrase() {
        let mut phrase = Phrase::default();
        assert!(["true", "false"].iter().cycle().take(24).all(|value| phrase.push(value).is_none()));
    }
}
