//! What a crowd did and what it was told, and whether that keeps what a site promises whose parts fail.
//!
//! A history knows only what people outside could see: when a request began, when its answer came, what the answer was.
//! What was not answered may have happened or not, and so no promise hangs on it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::site::databases::Row;

/// Somebody of the crowd, by number.
pub type Person = usize;

/// A session or an API token, numbered as they were asked for.
pub type Credential = usize;

/// What somebody asks a site to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Give them this credential: a sign-in, or a new token.
    Open(Credential),
    /// Say who they are.
    Show,
    /// End this credential of theirs.
    End(Credential),
}

/// What they were told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// It is done.
    Done,
    /// They are this person; `None`: somebody who is not of the crowd.
    Are(Option<Person>),
    /// They are nobody.
    Nobody,
    /// They are to sign in at the provider.
    SentAway,
    /// What they want to end is not there.
    Missing,
    /// 503
    Unavailable,
    /// Any other status.
    Other(u16),
    /// No answer came.
    Nothing,
}

/// One request with its answer.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    /// When it began, since the history did.
    pub begun: Duration,
    /// When its answer was there.
    pub ended: Duration,
    /// Which of the addresses was asked.
    pub address: usize,
    /// Who asked.
    pub person: Person,
    /// What they brought.
    pub with: Option<Credential>,
    /// What they wanted.
    pub deed: Deed,
    /// What they were told.
    pub told: Told,
    /// Whether the answer took the session's cookie away.
    pub lost_cookie: bool,
}

impl Operation {
    /// Whether somebody got an answer that a site gives which is well.
    pub fn is_success(&self) -> bool {
        matches!(self.told, Told::Done | Told::Are(_) | Told::Nobody | Told::Missing)
    }
}

/// Everything that happened to a crowd. Copies of it are one history.
#[derive(Clone)]
pub struct History {
    began: Instant,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Default)]
struct Kept {
    operations: Vec<Operation>,
    closing: Option<Duration>,
}

/// Every user with the identities that are theirs, for [`History::verdict`].
pub const USERS: &str =
    "select u.id, i.issuer, i.subject from users u left join doorward_identities i on i.user_id = u.id";

/// What a site must not break, whatever breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Promise {
    /// A credential that was ended is refused from then on, by everybody.
    Ended,
    /// One that nobody ended holds, and at the end it works.
    Kept,
    /// There is one user to an identity.
    OneUser,
    /// Nobody is taken for somebody else.
    OwnName,
    /// Nobody loses their cookie, or is sent to the provider, because something fails.
    NotSentAway,
}

/// Whether the promises were kept, and how it was meanwhile.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// Every time that one was broken, in words.
    pub broken: Vec<(Promise, String)>,
    /// How many requests there were.
    pub operations: usize,
    /// How many credentials were opened and confirmed.
    pub opened: usize,
    /// How many were ended and confirmed.
    pub ended: usize,
    /// How often somebody was refused with a credential that had been ended.
    pub refused: usize,
    /// How many requests were answered with 503.
    pub unavailable: usize,
    /// How many were not answered, or in another way.
    pub failed: usize,
    /// How long nobody at all got what they asked for.
    pub longest_silence: Duration,
}

/// What is known of a credential.
#[derive(Clone, Copy, Default)]
struct Life {
    owner: Person,
    is_confirmed: bool,
    /// When somebody first tried to end it, answered or not.
    attempted: Option<Duration>,
    /// Whether somebody who ended it was told that this could not be done everywhere yet, or nothing at all.
    is_owed: bool,
    /// What first showed that it was over.
    over: Option<Operation>,
}

impl Life {
    fn is_known_to_be_over_by(&mut self, operation: &Operation) {
        if self.over.is_none_or(|known| operation.ended < known.ended) {
            self.over = Some(*operation);
        }
    }

    /// Whether it cannot have been ended by anybody when something was answered at `then`.
    fn is_untouched(&self, then: Duration) -> bool {
        self.attempted.is_none_or(|attempted| attempted > then)
    }
}

impl History {
    /// An empty one that begins now.
    pub fn begin() -> Self {
        Self { began: Instant::now(), kept: Arc::default() }
    }

    /// How long it has lasted.
    pub fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// Keeps what happened.
    pub fn note(&self, operation: Operation) {
        self.kept().operations.push(operation);
    }

    /// From now on everybody only looks whether they still have what they should have.
    pub fn close(&self) {
        let now = self.now();
        self.kept().closing = Some(now);
    }

    /// Everything since the operation with this number, counted from 0.
    pub fn since(&self, first: usize) -> Vec<Operation> {
        self.kept().operations.get(first..).map(<[_]>::to_vec).unwrap_or_default()
    }

    /// How many operations there are.
    pub fn length(&self) -> usize {
        self.kept().operations.len()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().expect("nobody panics with it in hand")
    }

    /// Judges. `users` are the rows of [`USERS`].
    pub fn verdict(&self, users: &[Row]) -> Verdict {
        let (operations, closing) = {
            let kept = self.kept();
            (kept.operations.clone(), kept.closing)
        };
        let lives = lives(&operations);
        let mut verdict = Verdict {
            operations: operations.len(),
            opened: lives.values().filter(|life| life.is_confirmed).count(),
            unavailable: operations.iter().filter(|operation| operation.told == Told::Unavailable).count(),
            longest_silence: longest_silence(&operations, closing),
            ..Verdict::default()
        };
        verdict.failed = operations.iter().filter(|operation| !operation.is_success()).count() - verdict.unavailable;
        for operation in &operations {
            verdict.judge(operation, &lives);
        }
        verdict.look_at_the_end(&operations, closing.unwrap_or(Duration::MAX), &lives);
        verdict.look_at_users(users, &lives);
        verdict
    }
}

/// How every credential fared, over all operations.
fn lives(operations: &[Operation]) -> BTreeMap<Credential, Life> {
    let mut lives: BTreeMap<Credential, Life> = BTreeMap::new();
    let earlier = |known: Option<Duration>, at: Duration| Some(known.map_or(at, |known| known.min(at)));
    for operation in operations {
        match operation.deed {
            Deed::Open(credential) => {
                let life = lives.entry(credential).or_default();
                life.owner = operation.person;
                life.is_confirmed |= operation.told == Told::Done;
            }
            Deed::End(credential) => {
                let life = lives.entry(credential).or_default();
                life.attempted = earlier(life.attempted, operation.begun);
                life.is_owed |= matches!(operation.told, Told::Unavailable | Told::Nothing);
                if matches!(operation.told, Told::Done | Told::Missing) {
                    life.is_known_to_be_over_by(operation);
                }
            }
            Deed::Show => {}
        }
    }
    // Whoever was refused once knows that it is over, also where the end itself was not answered. But of several instances
    // one that cannot tell the database refuses alone until it can, and its 503 says so.
    let is_one = operations.iter().all(|operation| operation.address == 0);
    for operation in operations.iter().filter(|operation| operation.told == Told::Nobody) {
        let life = operation.with.and_then(|credential| lives.get_mut(&credential));
        if let Some(life) = life.filter(|life| is_one || !life.is_owed) {
            life.is_known_to_be_over_by(operation);
        }
    }
    lives
}

/// The longest time between two answers that were none of trouble, before everybody only looked.
fn longest_silence(operations: &[Operation], closing: Option<Duration>) -> Duration {
    let end = closing.or(operations.iter().map(|operation| operation.ended).max()).unwrap_or_default();
    let successes = operations.iter().filter(|operation| operation.is_success()).map(|operation| operation.ended);
    let mut moments: Vec<_> = successes.filter(|moment| *moment < end).chain([Duration::ZERO, end]).collect();
    moments.sort_unstable();
    moments.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
}

impl Verdict {
    /// Panics with everything that was broken.
    #[track_caller]
    pub fn must_hold(&self) {
        assert!(self.broken.is_empty(), "{self}");
    }

    fn judge(&mut self, operation: &Operation, lives: &BTreeMap<Credential, Life>) {
        let Some(credential) = operation.with else { return };
        let life = lives.get(&credential).copied().unwrap_or_default();
        let is_untouched = life.is_untouched(operation.ended);
        let over = life.over.filter(|over| operation.begun > over.ended);
        // Whoever signs out a second time is told so a second time.
        let is_own_end = operation.deed == Deed::End(credential);
        match operation.told {
            Told::Are(person) if person != Some(life.owner) => self.break_with(Promise::OwnName, operation),
            Told::Are(_) | Told::Done | Told::Missing if over.is_some() && !is_own_end => {
                self.broken.push((Promise::Ended, format!("{operation:?}, but {over:?}")));
            }
            Told::Nobody if is_untouched => self.break_with(Promise::Kept, operation),
            Told::SentAway if is_untouched => {
                self.break_with(Promise::Kept, operation);
                self.break_with(Promise::NotSentAway, operation);
            }
            Told::Nobody => self.refused += 1,
            _ => {}
        }
        if operation.lost_cookie && is_untouched {
            self.break_with(Promise::NotSentAway, operation);
        }
        if let (Deed::End(target), Told::Missing) = (operation.deed, operation.told)
            && lives.get(&target).is_some_and(|life| life.attempted == Some(operation.begun))
        {
            self.break_with(Promise::Kept, operation);
        }
    }

    fn look_at_the_end(&mut self, operations: &[Operation], closing: Duration, lives: &BTreeMap<Credential, Life>) {
        let addresses: BTreeSet<_> = operations.iter().map(|operation| operation.address).collect();
        let looks = operations.iter().filter(|operation| operation.deed == Deed::Show && operation.begun >= closing);
        let good: BTreeSet<_> = looks
            .filter(|operation| matches!(operation.told, Told::Are(_)))
            .filter_map(|operation| Some((operation.with?, operation.address)))
            .collect();
        for (credential, life) in lives {
            self.ended += usize::from(life.attempted.is_some() && life.over.is_some());
            if !life.is_confirmed || life.attempted.is_some() {
                continue;
            }
            for address in addresses.iter().filter(|address| !good.contains(&(*credential, **address))) {
                let owner = life.owner;
                let what = format!("at the end, credential {credential} of {owner} does not work at address {address}");
                self.broken.push((Promise::Kept, what));
            }
        }
    }

    fn look_at_users(&mut self, users: &[Row], lives: &BTreeMap<Credential, Life>) {
        let (mut ids, mut identities, mut subjects) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for row in users {
            let [Some(id), Some(issuer), Some(subject)] = row.as_slice() else {
                self.broken.push((Promise::OneUser, format!("a user without an identity: {row:?}")));
                continue;
            };
            if !ids.insert(id) || !identities.insert((issuer, subject)) {
                self.broken.push((Promise::OneUser, format!("a user or an identity is there twice: {row:?}")));
            }
            subjects.insert(subject.clone());
        }
        let owners: BTreeSet<_> = lives.values().filter(|life| life.is_confirmed).map(|life| life.owner).collect();
        for owner in owners.into_iter().filter(|owner| !subjects.contains(&subject(*owner))) {
            self.broken.push((Promise::OneUser, format!("{} signed in and is no user", subject(owner))));
        }
    }

    fn break_with(&mut self, promise: Promise, operation: &Operation) {
        self.broken.push((promise, format!("{operation:?}")));
    }
}

/// What a person of the crowd is called by the provider.
pub fn subject(person: Person) -> String {
    format!("crowd-{person}")
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { broken, operations, opened, ended, refused, unavailable, failed, longest_silence } = self;
        write!(
            f,
            "{operations} operations: {opened} credentials opened, {ended} ended, refused afterwards {refused} times; \
             503 {unavailable} times, failed otherwise {failed} times, longest silence {longest_silence:.1?}; \
             promises broken {} times",
            broken.len()
        )?;
        for (promise, what) in broken.iter().take(20) {
            write!(f, "\n  {promise:?}: {what}")?;
        }
        Ok(())
    }
}
