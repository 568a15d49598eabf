//! The grammar of a shell script, as far as it tells commands apart.

use super::{Redirection, ShellCommand, Word};
use crate::dockerfile::instruction::Heredoc;
use crate::source::Span;

/// Substitutions within substitutions, deeper than anyone writes.
const DEEPEST: usize = 32;

/// Which shell reads the script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// `/bin/sh`, whatever it is.
    Posix,
    /// One that knows `[[`.
    Bash,
}

impl Dialect {
    /// The dialect of the shell with this path, if it is one of the family.
    pub(super) fn of(program: &str) -> Option<Self> {
        match program.rsplit('/').next().unwrap_or(program) {
            "sh" | "ash" | "dash" => Some(Self::Posix),
            "bash" | "ksh" | "zsh" => Some(Self::Bash),
            _ => None,
        }
    }
}

/// A script and how far it is read.
pub(super) struct Script<'a> {
    pub(super) text: &'a str,
    pub(super) at: usize,
    /// Where the part that is being read ends.
    pub(super) end: usize,
    locate: &'a dyn Fn(usize, usize) -> Span,
    dialect: Dialect,
    /// The heredocs of the instruction, whose bodies stand outside the script; `None` in a script that holds its own.
    outside: Option<&'a [Heredoc]>,
    /// Delimiters of heredocs whose bodies follow after this line: delimiter, dashed, quoted.
    pending: Vec<(String, bool, bool)>,
    commands: Vec<ShellCommand>,
    depth: usize,
}

/// A compound command that is open.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Frame {
    Subshell,
    Brace,
    /// `if` before its `then`.
    If,
    /// After `then` or `else`.
    Then,
    /// `while`, `until`, `for` before `do`.
    Loop,
    Do,
    Case,
}

/// The simple command that is being read.
#[derive(Default)]
struct Reading {
    assignments: Vec<Word>,
    words: Vec<Word>,
    redirections: Vec<Redirection>,
}

/// Where in a line of commands the reader is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// A command may start, and reserved words count.
    Start,
    /// Within a simple command.
    Command,
    /// Behind `fi`, `done`, `esac`, `}` or `)`, where only redirections may stand.
    AfterCompound,
}

impl<'a> Script<'a> {
    /// A script whose byte ranges are found in the file by `locate`.
    pub(super) fn new(
        text: &'a str,
        locate: &'a dyn Fn(usize, usize) -> Span,
        dialect: Dialect,
        outside: Option<&'a [Heredoc]>,
    ) -> Self {
        Self {
            text,
            at: 0,
            end: text.len(),
            locate,
            dialect,
            outside,
            pending: Vec::new(),
            commands: Vec::new(),
            depth: 0,
        }
    }

    /// All simple commands; `None` when something is not certain.
    pub(super) fn commands(&mut self) -> Option<Vec<ShellCommand>> {
        self.list(false)?;
        self.pending.is_empty().then(|| std::mem::take(&mut self.commands))
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied().filter(|_| self.at < self.end)
    }

    pub(super) fn span(&self, start: usize, end: usize) -> Span {
        (self.locate)(start, end)
    }

    /// Reads something within something else, not deeper than [`DEEPEST`].
    pub(super) fn nested(&mut self, read: impl FnOnce(&mut Self) -> Option<()>) -> Option<()> {
        self.depth += 1;
        let done = if self.depth > DEEPEST { None } else { read(self) };
        self.depth -= 1;
        done
    }

    /// A list of commands: to the end of the part, or up to and with the parenthesis that closes a substitution.
    pub(super) fn list(&mut self, in_parentheses: bool) -> Option<()> {
        let mut frames: Vec<Frame> = Vec::new();
        let mut command = Reading::default();
        let mut place = Place::Start;
        // `&&`, `||` or `|` stands before, so a command must follow.
        let mut wanting = false;
        loop {
            self.skip_blanks();
            let Some(byte) = self.peek() else {
                self.finish(&mut command);
                return (frames.is_empty() && !in_parentheses && !wanting).then_some(());
            };
            if wanting && matches!(byte, b';' | b'&' | b'|' | b')') {
                return None;
            }
            let wanted = wanting;
            wanting &= matches!(byte, b'\n' | b'#');
            match byte {
                b'\n' => {
                    self.finish(&mut command);
                    self.at += 1;
                    self.heredoc_bodies()?;
                    place = Place::Start;
                }
                b'#' => self.skip_comment(),
                b'&' if self.ahead("&>") => {
                    self.redirection(&mut command)?;
                    place = after_redirection(place);
                }
                b';' if self.ahead(";;") || self.ahead(";&") => {
                    self.finish(&mut command);
                    if frames.last() != Some(&Frame::Case) {
                        return None;
                    }
                    self.at += if self.ahead(";;&") { 3 } else { 2 };
                    place = self.case_patterns(&mut frames)?;
                }
                b';' | b'&' | b'|' => {
                    if place == Place::Start {
                        return None;
                    }
                    self.finish(&mut command);
                    wanting = byte == b'|' || self.ahead("&&");
                    self.at += if self.ahead("&&") || self.ahead("||") || self.ahead("|&") { 2 } else { 1 };
                    place = Place::Start;
                }
                b'<' | b'>' => {
                    self.redirection(&mut command)?;
                    place = after_redirection(place);
                }
                b'(' if place == Place::Start => {
                    // `((` is arithmetic to bash and a subshell in a subshell to others.
                    if self.ahead("((") || !command.is_empty() {
                        return None;
                    }
                    self.at += 1;
                    frames.push(Frame::Subshell);
                }
                b'(' => {
                    self.function_definition(&mut command)?;
                    place = Place::Start;
                }
                b')' => {
                    self.finish(&mut command);
                    self.at += 1;
                    match frames.last() {
                        Some(Frame::Subshell) => {
                            frames.pop();
                            place = Place::AfterCompound;
                        }
                        None if in_parentheses => return Some(()),
                        _ => return None,
                    }
                }
                b'0'..=b'9' if self.descriptor().is_some() => {
                    self.redirection(&mut command)?;
                    place = after_redirection(place);
                }
                _ => {
                    if place == Place::AfterCompound {
                        return None;
                    }
                    let word = self.word()?;
                    if wanted && closes(&word.written) {
                        return None;
                    }
                    place = self.take_word(word, place, &mut frames, &mut command)?;
                }
            }
        }
    }

    fn take_word(&mut self, word: Word, place: Place, frames: &mut Vec<Frame>, command: &mut Reading) -> Option<Place> {
        if place == Place::Start
            && command.is_empty()
            && let Some(place) = self.reserved_word(&word.written, frames)?
        {
            return Some(place);
        }
        if command.words.is_empty() && is_assignment(&word.written) {
            // `a=(…)` is an array.
            if word.written.ends_with('=') && self.peek() == Some(b'(') {
                return None;
            }
            command.assignments.push(word);
        } else {
            let conditional = command.words.is_empty() && word.written == "[[";
            command.words.push(word);
            if conditional {
                self.conditional(command)?;
            }
        }
        Some(Place::Command)
    }

    /// What a reserved word does: where the reader is after it, or nothing when the word is an ordinary one.
    fn reserved_word(&mut self, word: &str, frames: &mut Vec<Frame>) -> Option<Option<Place>> {
        let top = frames.last().copied();
        let place = match word {
            "!" => Place::Start,
            "{" => {
                frames.push(Frame::Brace);
                Place::Start
            }
            "if" => {
                frames.push(Frame::If);
                Place::Start
            }
            "while" | "until" => {
                frames.push(Frame::Loop);
                Place::Start
            }
            "for" | "select" => {
                self.for_words()?;
                frames.push(Frame::Loop);
                Place::Start
            }
            "case" => {
                self.word_ahead()?;
                self.skip_lines();
                if self.word_ahead()?.written != "in" {
                    return None;
                }
                frames.push(Frame::Case);
                self.case_patterns(frames)?
            }
            "then" if top == Some(Frame::If) => replace_top(frames, Frame::Then),
            "elif" if top == Some(Frame::Then) => replace_top(frames, Frame::If),
            "else" if top == Some(Frame::Then) => Place::Start,
            "do" if top == Some(Frame::Loop) => replace_top(frames, Frame::Do),
            "fi" if top == Some(Frame::Then) => pop(frames),
            "done" if top == Some(Frame::Do) => pop(frames),
            "esac" if top == Some(Frame::Case) => pop(frames),
            "}" if top == Some(Frame::Brace) => pop(frames),
            // Out of place, or a construct that only some shells have.
            "function" | "coproc" => return None,
            word if closes(word) => return None,
            _ => return Some(None),
        };
        Some(Some(place))
    }

    /// `for name [in words]`, up to the separator before `do`.
    fn for_words(&mut self) -> Option<()> {
        self.word_ahead()?;
        self.skip_lines();
        let before = self.at;
        match self.peek()? {
            b';' => {
                self.at += 1;
                return Some(());
            }
            b'd' | b'i' => {}
            _ => return None,
        }
        match self.word_ahead()?.written.as_str() {
            "in" => {}
            "do" => {
                self.at = before;
                return Some(());
            }
            _ => return None,
        }
        loop {
            self.skip_blanks();
            match self.peek()? {
                b';' | b'\n' => {
                    self.at += 1;
                    return Some(());
                }
                b'#' => self.skip_comment(),
                b'&' | b'|' | b'<' | b'>' | b'(' | b')' => return None,
                _ => {
                    self.word()?;
                }
            }
        }
    }

    /// The patterns of a `case` up to the parenthesis that closes them, or its `esac`.
    fn case_patterns(&mut self, frames: &mut Vec<Frame>) -> Option<Place> {
        self.heredoc_bodies_are_read()?;
        self.skip_lines();
        if self.peek()? == b'(' {
            self.at += 1;
        } else if self.ahead("esac")
            && !self.text[self.at + 4..self.end].starts_with(|next: char| next.is_alphanumeric())
        {
            self.at += 4;
            return Some(pop(frames));
        }
        loop {
            self.word_ahead()?;
            self.skip_blanks();
            let byte = self.peek()?;
            self.at += 1;
            match byte {
                b')' => return Some(Place::Start),
                b'|' => {}
                _ => return None,
            }
        }
    }

    /// The rest of `[[ … ]]`, whose operators are none of the shell's. Only bash has it, others take it for a command.
    fn conditional(&mut self, command: &mut Reading) -> Option<()> {
        loop {
            self.skip_blanks();
            match self.peek()? {
                b'\n' | b';' | b'#' => return None,
                b'&' | b'|' | b'<' | b'>' | b'(' | b')' if self.dialect == Dialect::Bash => self.at += 1,
                b'&' | b'|' | b'<' | b'>' | b'(' | b')' => return None,
                _ => {
                    let word = self.word()?;
                    let last = word.written == "]]";
                    command.words.push(word);
                    if last {
                        return Some(());
                    }
                }
            }
        }
    }

    /// `name()`: the body that follows is read like any other command.
    fn function_definition(&mut self, command: &mut Reading) -> Option<()> {
        let named = command.words.len() == 1 && command.assignments.is_empty() && command.redirections.is_empty();
        self.at += 1;
        self.skip_blanks();
        if !named || self.peek()? != b')' {
            return None;
        }
        self.at += 1;
        command.words.clear();
        self.skip_lines();
        Some(())
    }

    /// The length of the digits before `<` or `>`, when they name a file descriptor.
    fn descriptor(&self) -> Option<usize> {
        let rest = &self.text[self.at..self.end];
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        matches!(rest.as_bytes().get(digits), Some(b'<' | b'>')).then_some(digits)
    }

    fn redirection(&mut self, command: &mut Reading) -> Option<()> {
        let start = self.at;
        self.at += self.descriptor().unwrap_or(0);
        const OPERATORS: [&str; 12] = ["&>>", "&>", "<<<", "<<-", "<<", "<&", "<>", ">>", ">&", ">|", "<", ">"];
        let operator = OPERATORS.into_iter().find(|operator| self.ahead(operator))?;
        self.at += operator.len();
        self.skip_blanks();
        // `<(…)` is a process substitution.
        if matches!(self.peek()?, b'(' | b')' | b';' | b'|' | b'&' | b'<' | b'>' | b'\n' | b'#') {
            return None;
        }
        let target = self.word()?;
        if matches!(operator, "<<" | "<<-") {
            self.heredoc(start, operator == "<<-", &target)?;
        }
        command.redirections.push(Redirection { operator: operator.to_owned(), target });
        Some(())
    }

    /// Takes note of a heredoc that the shell sees. One that BuildKit does not see has no body, or BuildKit sees it elsewhere.
    fn heredoc(&mut self, start: usize, dashed: bool, target: &Word) -> Option<()> {
        if let Some(outside) = self.outside {
            let opener = self.span(start, self.at);
            return outside.binary_search_by_key(&opener, |heredoc| heredoc.opener).is_ok().then_some(());
        }
        let quoted = target.written.contains(['\'', '"', '\\']);
        self.pending.push((target.literal.clone()?, dashed, quoted));
        Some(())
    }

    /// Moves over the bodies of the heredocs that the line before opened.
    fn heredoc_bodies(&mut self) -> Option<()> {
        for (delimiter, dashed, quoted) in std::mem::take(&mut self.pending) {
            loop {
                let rest = self.text[self.at..self.end].split('\n').next()?;
                let more = self.at + rest.len() < self.end;
                self.at = (self.at + rest.len() + 1).min(self.end);
                if (if dashed { rest.trim_start_matches('\t') } else { rest }) == delimiter {
                    break;
                }
                // Commands in the body would run; and a body must end.
                if !more || !quoted && (rest.contains("$(") || rest.contains('`')) {
                    return None;
                }
            }
        }
        Some(())
    }

    /// A body cannot start before the line has ended.
    fn heredoc_bodies_are_read(&self) -> Option<()> {
        self.pending.is_empty().then_some(())
    }

    /// The next word, which must be on this line.
    fn word_ahead(&mut self) -> Option<Word> {
        self.skip_blanks();
        match self.peek()? {
            b'\n' | b';' | b'&' | b'|' | b'<' | b'>' | b'(' | b')' | b'#' => None,
            _ => self.word(),
        }
    }

    fn ahead(&self, text: &str) -> bool {
        self.text[self.at..self.end].starts_with(text)
    }

    fn skip_blanks(&mut self) {
        loop {
            match self.peek() {
                Some(b' ' | b'\t') => self.at += 1,
                Some(b'\\') if self.ahead("\\\n") => self.at += 2,
                _ => return,
            }
        }
    }

    fn skip_comment(&mut self) {
        let rest = &self.text[self.at..self.end];
        self.at += memchr::memchr(b'\n', rest.as_bytes()).unwrap_or(rest.len());
    }

    /// Moves over blanks, line ends and comments, where the grammar allows them and no heredoc may be open.
    fn skip_lines(&mut self) {
        loop {
            self.skip_blanks();
            match self.peek() {
                Some(b'\n') if self.pending.is_empty() => self.at += 1,
                Some(b'#') => self.skip_comment(),
                _ => return,
            }
        }
    }

    fn finish(&mut self, command: &mut Reading) {
        let Reading { assignments, words, redirections } = std::mem::take(command);
        let spans = || assignments.iter().chain(&words).map(|word| word.span);
        let redirected = || redirections.iter().map(|redirection| redirection.target.span);
        let (first, last) = match (spans().next(), spans().next_back()) {
            (Some(first), Some(last)) => (first, last),
            _ => match (redirected().next(), redirected().next_back()) {
                (Some(first), Some(last)) => (first, last),
                _ => return,
            },
        };
        let span = Span::new(first.start, last.end);
        self.commands.push(ShellCommand { assignments, words, redirections, span });
    }
}

impl Reading {
    fn is_empty(&self) -> bool {
        self.assignments.is_empty() && self.words.is_empty() && self.redirections.is_empty()
    }
}

fn after_redirection(place: Place) -> Place {
    match place {
        Place::AfterCompound => Place::AfterCompound,
        Place::Start | Place::Command => Place::Command,
    }
}

fn replace_top(frames: &mut [Frame], frame: Frame) -> Place {
    if let Some(top) = frames.last_mut() {
        *top = frame;
    }
    Place::Start
}

fn pop(frames: &mut Vec<Frame>) -> Place {
    frames.pop();
    Place::AfterCompound
}

/// Whether a reserved word closes a list of commands.
fn closes(word: &str) -> bool {
    matches!(word, "then" | "elif" | "else" | "do" | "fi" | "done" | "esac" | "}")
}

/// Whether the word is `NAME=…` or `NAME+=…`, no quote in the name.
fn is_assignment(written: &str) -> bool {
    let Some((name, _)) = written.split_once('=') else { return false };
    let name = name.strip_suffix('+').unwrap_or(name);
    !name.is_empty()
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
