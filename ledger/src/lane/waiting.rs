//! A request on its way through the rounds of a lane.

use super::Job;
use super::rounds::Part;
use crate::ledger::SubmitError;
use crate::submission::{Answer, Submission};

/// A job, and what is answered of it so far.
pub(super) struct Waiting {
    job: Option<Job>,
    answers: Vec<Answer>,
}

impl Waiting {
    pub(super) fn new(job: Job) -> Self {
        Waiting { job: Some(job), answers: Vec::new() }
    }

    pub(super) const fn is_unanswered(&self) -> bool {
        self.job.is_some()
    }

    pub(super) fn part(&self, part: &Part) -> (&[Submission], bool) {
        let job = self.job.as_ref();
        let submissions = job.and_then(|job| job.submissions.get(part.range.clone()));
        (submissions.unwrap_or_default(), job.is_some_and(|job| job.atomic))
    }

    /// Takes the answers of its next part, and gives all of them after the last.
    pub(super) fn take(&mut self, answers: Vec<Answer>) {
        self.answers.extend(answers);
        if let Some(job) = self.job.take_if(|job| job.submissions.len() <= self.answers.len()) {
            // A caller that has gone away does not need its answer.
            let _ = job.answer.send(Ok(std::mem::take(&mut self.answers)));
        }
    }

    /// Says that it failed. What was written of it before is sent again, and is a duplicate then.
    pub(super) fn fail(&mut self, error: SubmitError) {
        if let Some(job) = self.job.take() {
            let _ = job.answer.send(Err(error));
        }
    }
}
