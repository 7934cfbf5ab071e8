//! YAML as a tree whose nodes know their places. What a configuration does not need is refused: aliases, tags, several
//! documents, keys that are not text.

use super::fault::{Fault, Place};
use super::substitution::substituted;
use saphyr_parser::{Event, Parser, ScalarStyle, Span};

/// The deepest nesting that is read.
const DEPTH: usize = 64;

/// A value and where it begins.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) value: Value,
}

#[derive(Debug)]
pub(super) enum Value {
    Null,
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

#[derive(Debug)]
pub(super) struct Key {
    pub(super) place: Place,
    pub(super) name: String,
}

/// The only document of a text, with the variables of its scalars substituted.
///
/// # Errors
/// The place of what cannot be read.
pub(super) fn parse(text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<Node, Fault> {
    let mut reader = Reader { events: Parser::new_from_str(text), env };
    let mut root = None;
    loop {
        match reader.next()? {
            (Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing, _) => {}
            (Event::StreamEnd, place) => {
                return Ok(root.unwrap_or(Node { place, value: Value::Null }));
            }
            (_, place) if root.is_some() => return Err(Fault::new(place, "a file holds one document")),
            (event, place) => root = Some(reader.node(event, place, 0)?),
        }
    }
}

struct Reader<'text, 'env> {
    events: Parser<'text, saphyr_parser::StrInput<'text>>,
    env: &'env dyn Fn(&str) -> Option<String>,
}

impl<'text> Reader<'text, '_> {
    fn next(&mut self) -> Result<(Event<'text>, Place), Fault> {
        match self.events.next_event() {
            Some(Ok((event, Span { start, .. }))) => Ok((event, Place::new(start.line(), start.col()))),
            Some(Err(error)) => {
                let mark = error.marker();
                Err(Fault::new(Place::new(mark.line(), mark.col()), format!("this is not YAML: {}", error.info())))
            }
            None => Ok((Event::StreamEnd, Place::default())),
        }
    }

    fn node(&mut self, event: Event<'text>, place: Place, depth: usize) -> Result<Node, Fault> {
        if depth > DEPTH {
            return Err(Fault::new(place, "nested too deeply"));
        }
        let value = match event {
            Event::Scalar(text, style, _, tag) => {
                refuse_tag(tag.is_some(), place)?;
                let text = substituted(&text, self.env).map_err(|allowed| Fault::new(place, allowed))?;
                if style == ScalarStyle::Plain && is_null(&text) { Value::Null } else { Value::Text(text) }
            }
            Event::SequenceStart(_, tag) => {
                refuse_tag(tag.is_some(), place)?;
                Value::List(self.list(depth)?)
            }
            Event::MappingStart(_, tag) => {
                refuse_tag(tag.is_some(), place)?;
                Value::Map(self.map(depth)?)
            }
            Event::Alias(_) => return Err(Fault::new(place, "aliases are not supported: write the value out")),
            _ => return Err(Fault::new(place, "a value is missing")),
        };
        Ok(Node { place, value })
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Node>, Fault> {
        let mut list = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(list),
                (event, place) => list.push(self.node(event, place, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Vec<(Key, Node)>, Fault> {
        let mut map: Vec<(Key, Node)> = Vec::new();
        loop {
            let key = match self.next()? {
                (Event::MappingEnd, _) => return Ok(map),
                (Event::Scalar(name, ..), place) => Key { place, name: name.into_owned() },
                (_, place) => return Err(Fault::new(place, "a key is text")),
            };
            if map.iter().any(|(known, _)| known.name == key.name) {
                return Err(Fault::new(key.place, format!("{} stands here twice", key.name)));
            }
            let (event, place) = self.next()?;
            let node = self.node(event, place, depth + 1)?;
            map.push((key, node));
        }
    }
}

fn refuse_tag(has_tag: bool, place: Place) -> Result<(), Fault> {
    if has_tag { Err(Fault::new(place, "tags are not supported")) } else { Ok(()) }
}

/// The null of the core schema of YAML 1.2.
fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}
