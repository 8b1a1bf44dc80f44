//! One destination: what it should have, what it has, and the next step from there.
//!
//! The law: while the kernel may have a route of ours into the tunnel, the tunnel's table has an entry for its prefix;
//! the route comes only after every worker has acknowledged the entry it needs, and goes before the entry.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use wgd::table::Group;

use super::State;
use super::plan::{Body, Choice, Problem, Wanted};

/// A refused route is tried again after this time; each further time after twice as long.
const RETRY_FIRST: Duration = Duration::from_secs(1);
/// At least this often.
const RETRY_LAST: Duration = Duration::from_secs(60);

/// One destination.
#[derive(Debug, Default)]
pub(super) struct Entry {
    /// The speaker's newest word.
    pub(super) choice: Option<Arc<Choice>>,
    /// Found at start, and the speaker has not spoken of it yet, or not yet of all: the kernel's route is left as it is.
    pub(super) left_over: bool,
    wanted: Option<Arc<Wanted>>,
    /// What the tunnel has acknowledged.
    tunnel: Option<Arc<Group>>,
    tunnel_sent: Option<Option<Arc<Group>>>,
    kernel: Standing,
    kernel_sent: Option<Option<Arc<Body>>>,
    /// Others changed the route while an operation of ours was under way.
    disturbed: bool,
    failure: Option<Box<Failure>>,
}

/// What the kernel has of a destination.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
enum Standing {
    /// Nothing of ours.
    #[default]
    Nothing,
    /// This.
    Stands(Arc<Body>),
    /// An operation failed half way, or somebody else meddled: perhaps a route, perhaps into the tunnel.
    Uncertain { into_tunnel: bool },
}

/// A refused operation.
#[derive(Debug)]
struct Failure {
    /// The kernel's sentence.
    sentence: String,
    /// A route of another program stands there.
    foreign: bool,
    /// In a row.
    attempts: u32,
    /// It may be tried again now.
    due: bool,
}

impl Standing {
    fn leads_into_tunnel(&self) -> bool {
        match self {
            Self::Nothing => false,
            Self::Stands(body) => body.into_tunnel,
            Self::Uncertain { into_tunnel } => *into_tunnel,
        }
    }
}

impl Entry {
    /// Sets what the destination should have.
    pub(super) fn want(&mut self, wanted: Option<Arc<Wanted>>) {
        let before = std::mem::replace(&mut self.wanted, wanted);
        if self.wanted_body() != before.as_ref().and_then(|wanted| wanted.kernel.as_ref()) {
            self.failure = None;
        }
        if matches!((&self.kernel, self.wanted_body()), (Standing::Stands(stands), Some(wanted)) if stands == wanted) {
            self.left_over = false; // it is what it should be
        }
    }

    /// A route that a former run has left may stay although the speaker wants another one.
    pub(super) fn is_kept_over(&self) -> bool {
        self.left_over && self.choice.is_some() && matches!(self.kernel, Standing::Stands(_))
    }

    fn wanted_body(&self) -> Option<&Arc<Body>> {
        self.wanted.as_ref()?.kernel.as_ref()
    }

    fn wanted_group(&self) -> Option<&Arc<Group>> {
        self.wanted.as_ref()?.tunnel.as_ref()
    }

    /// The configuration's own route, not the speaker's.
    pub(super) fn is_pinned(&self) -> bool {
        self.choice.as_ref().is_some_and(|choice| choice.pinned)
    }

    /// Nothing is there and nothing is wanted.
    pub(super) fn is_empty(&self) -> bool {
        self.choice.is_none() && self.tunnel.is_none() && self.tunnel_sent.is_none() && !self.has_kernel_side()
    }

    /// The kernel has, may have, or is about to have or lose a route.
    pub(super) fn has_kernel_side(&self) -> bool {
        self.kernel != Standing::Nothing || self.kernel_sent.is_some()
    }

    /// The change of the tunnel's table that may be sent now.
    pub(super) fn tunnel_step(&self) -> Option<Option<Arc<Group>>> {
        let ready = self.tunnel_sent.is_none() && self.tunnel.as_ref() != self.wanted_group();
        let leads = self.kernel.leads_into_tunnel() || self.kernel_sent.iter().flatten().any(|body| body.into_tunnel);
        // A route that should no longer lead into the tunnel goes first.
        (ready && (!leads || self.should_lead_into_tunnel())).then(|| self.wanted_group().cloned())
    }

    /// A step of [`Entry::tunnel_step`] is on its way.
    pub(super) fn tunnel_sent(&mut self, group: Option<Arc<Group>>) {
        self.tunnel_sent = Some(group);
    }

    /// Every worker has it.
    pub(super) fn tunnel_applied(&mut self) {
        if let Some(group) = self.tunnel_sent.take() {
            self.tunnel = group;
        }
    }

    /// The kernel operation that may be sent now: the route to have there, or none.
    pub(super) fn kernel_step(&self) -> Option<Option<Arc<Body>>> {
        let backing_off = self.failure.as_ref().is_some_and(|failure| !failure.due);
        if self.kernel_sent.is_some() || self.left_over || backing_off {
            return None;
        }
        match (&self.kernel, self.wanted_body()) {
            (Standing::Nothing, None) => None,
            (Standing::Stands(body), Some(wanted)) if body == wanted => None,
            (_, Some(_)) if self.should_lead_into_tunnel() && !self.tunnel_is_settled() => None,
            (_, wanted) => Some(wanted.cloned()),
        }
    }

    /// A step of [`Entry::kernel_step`] is on its way.
    pub(super) fn kernel_sent(&mut self, body: Option<Arc<Body>>) {
        self.kernel_sent = Some(body);
    }

    /// The kernel has answered. An error of the whole batch (`certain` is false) may hide a success. Returns after which
    /// time to try again.
    pub(super) fn kernel_done(&mut self, result: io::Result<()>, certain: bool) -> Option<Duration> {
        let sent = self.kernel_sent.take()?;
        let disturbed = std::mem::take(&mut self.disturbed);
        let into_tunnel = self.kernel.leads_into_tunnel() || sent.as_ref().is_some_and(|body| body.into_tunnel);
        let current = sent.as_ref() == self.wanted_body();
        self.kernel = match (&result, sent) {
            (Ok(()), sent) if !disturbed => sent.map_or(Standing::Nothing, Standing::Stands),
            // To add is all or nothing; to replace is not.
            (Err(_), Some(_)) if certain && !disturbed && self.kernel == Standing::Nothing => Standing::Nothing,
            _ => Standing::Uncertain { into_tunnel },
        };
        let attempts = self.failure.take().map_or(0, |failure| failure.attempts);
        // What is no longer wanted does not delay what is.
        let error = result.err().filter(|_| current)?;
        let foreign = error.kind() == io::ErrorKind::AlreadyExists;
        let sentence = error.to_string();
        self.failure = Some(Box::new(Failure { sentence, foreign, attempts: attempts + 1, due: false }));
        Some(RETRY_FIRST.saturating_mul(1 << attempts.min(6)).min(RETRY_LAST))
    }

    /// The time of [`Entry::kernel_done`] has passed.
    pub(super) fn retry(&mut self) {
        if let Some(failure) = &mut self.failure {
            failure.due = true;
        }
    }

    /// A route that a former run has left.
    pub(super) fn left_over(body: Body) -> Self {
        Self { left_over: true, kernel: Standing::Stands(Arc::new(body)), ..Self::default() }
    }

    /// A destination of which nothing is known.
    pub(super) fn unknown(left_over: bool) -> Self {
        Self { left_over, ..Self::default() }
    }

    /// A dump of the kernel had this route, or none. It may be older than the last answer, so that it can raise doubts,
    /// not settle them.
    pub(super) fn seen(&mut self, body: Option<&Body>) {
        let as_believed = match (&self.kernel, body) {
            (Standing::Nothing, None) => true,
            (Standing::Stands(believed), Some(body)) => **believed == *body,
            _ => false,
        };
        if !as_believed || self.kernel_sent.is_some() {
            self.meddled(body);
        }
    }

    /// Somebody else changed or deleted the route, which was like this before or is now.
    pub(super) fn meddled(&mut self, body: Option<&Body>) {
        self.disturbed = self.kernel_sent.is_some();
        self.left_over &= self.choice.is_none(); // there is nothing to keep any more
        let into_tunnel = self.kernel.leads_into_tunnel() || body.is_some_and(|body| body.into_tunnel);
        self.kernel = Standing::Uncertain { into_tunnel };
    }

    fn should_lead_into_tunnel(&self) -> bool {
        self.wanted_body().is_some_and(|body| body.into_tunnel)
    }

    fn tunnel_is_settled(&self) -> bool {
        self.tunnel_sent.is_none() && self.tunnel.as_ref() == self.wanted_group()
    }

    /// How far the destination is, and why not further.
    pub(super) fn state(&self) -> (State, Option<&str>) {
        if self.left_over {
            return (State::Stale, None);
        }
        if let Some(failure) = &self.failure {
            let state = if failure.foreign { State::Foreign } else { State::Failed };
            return (state, Some(&failure.sentence));
        }
        let problem = self.wanted.as_ref().and_then(|wanted| wanted.problem.as_ref());
        match (problem, &self.kernel, self.wanted_body()) {
            (Some(Problem::Refused(why)), ..) => (State::Failed, Some(why)),
            (Some(Problem::NotNow(why)), ..) => (State::Pending, Some(why)),
            (None, Standing::Stands(body), Some(wanted)) if body == wanted && self.tunnel_is_settled() => {
                (State::Installed, None)
            }
            _ => (State::Pending, None),
        }
    }

    /// Something of it is or should be in the kernel or the tunnel, or why not is worth a line.
    pub(super) fn is_shown(&self) -> bool {
        let meant_to = self.choice.as_ref().is_some_and(|choice| choice.not_installed.is_none());
        meant_to || self.has_kernel_side() || self.tunnel.is_some() || self.wanted_group().is_some()
    }

    /// The route to show: what stands, else what should.
    pub(super) fn body(&self) -> Option<&Body> {
        match &self.kernel {
            Standing::Stands(body) => Some(body),
            _ => self.wanted_body().map(Arc::as_ref),
        }
    }

    /// The tunnel's entry that every worker has.
    pub(super) fn acknowledged(&self) -> Option<&Arc<Group>> {
        self.tunnel.as_ref()
    }

    /// The tunnel's entry to show: what is acknowledged, else what should be.
    pub(super) fn group(&self) -> Option<&Group> {
        self.tunnel.as_ref().or(self.wanted_group()).map(Arc::as_ref)
    }
}
