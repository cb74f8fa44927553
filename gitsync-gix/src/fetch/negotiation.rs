//! Finding out with the upstream what both have.

use std::{io, mem};

use gitsync_core::model::{ObjectFormat, ObjectId};
use gitsync_repository::Haves;
use gix::hashtable::HashSet as IdSet;
use gix::negotiate::{Algorithm, Graph, Negotiator, window_size};
use gix::objs::Kind;
use gix::odb::{Handle, HeaderExt as _};
use gix::protocol::fetch::response::Acknowledgement;
use gix::protocol::fetch::{Arguments, Negotiate, Response, negotiate};

use crate::convert::to_gix;
use crate::remote::Session;

/// After how many ids that the upstream does not know we stop, once it knew one.
const MAX_IN_VAIN: usize = 256;

/// Says what is wanted and what we have.
///
/// Rounds are our own, since gix's go on asking after the upstream said that it knows enough: first the likely ids in
/// one go, which settles nearly every fetch, then a walk over everything. There is no walk where the depth is limited: it would
/// also tell of commits beyond the boundary, without what they lead to.
pub(super) struct Negotiation<'a> {
    wants: &'a [ObjectId],
    haves: &'a Haves,
    odb: &'a Handle,
    graph: Graph<'a, 'static>,
    /// The walk, once there is need for one.
    negotiator: Option<Box<dyn Negotiator>>,
    /// To be told to upstreams of the original protocol; gix does so by itself in version 2 only.
    format: Option<ObjectFormat>,
    stateless: bool,
    /// Whether the first round is the last.
    is_limited: bool,
    is_first_round: bool,
    /// Whether the last round was said to be the last: only a pack can follow.
    is_done: bool,
    common: IdSet<gix::ObjectId>,
    in_vain: usize,
}

impl<'a> Negotiation<'a> {
    /// Creates one; `odb` must not look for new packs, or every id that is not there would cost a look at the disk.
    pub(super) fn new(
        wants: &'a [ObjectId],
        haves: &'a Haves,
        odb: &'a Handle,
        session: &Session,
        format: ObjectFormat,
        is_limited: bool,
    ) -> Self {
        let tells_format = !session.is_v2() && session.capabilities().contains("object-format");
        Negotiation {
            wants,
            haves,
            odb,
            graph: Graph::new(odb, None),
            negotiator: None,
            format: tells_format.then_some(format),
            stateless: session.is_stateless(),
            is_limited,
            is_first_round: true,
            is_done: false,
            common: IdSet::default(),
            in_vain: 0,
        }
    }

    /// Takes note of an answer, and tells whether it acknowledged anything and whether the upstream is ready.
    fn listen(&mut self, response: &Response) -> gix::Result<(bool, bool)> {
        let (mut acknowledged, mut ready) = (false, false);
        for one in response.acknowledgements() {
            match one {
                Acknowledgement::Common(id) => {
                    acknowledged = true;
                    if self.common.insert(*id)
                        && let Some(negotiator) = &mut self.negotiator
                        && is_commit(self.odb, id)
                    {
                        negotiator.in_common_with_remote(*id, &mut self.graph)?;
                    }
                }
                Acknowledgement::Ready => ready = true,
                Acknowledgement::Nak => {}
            }
        }
        Ok((acknowledged, ready))
    }
}

impl Negotiate for Negotiation<'_> {
    fn mark_complete_and_common_ref(&mut self) -> gix::Result<negotiate::Action> {
        Ok(negotiate::Action::MustNegotiate { remote_ref_target_known: Vec::new() })
    }

    fn add_wants(&mut self, arguments: &mut Arguments, _known: &[bool]) -> bool {
        if let Some(format) = self.format {
            arguments.add_feature(&format!("object-format={}", format.as_str()));
        }
        self.wants.iter().for_each(|id| arguments.want(to_gix(id)));
        true
    }

    fn one_round(
        &mut self,
        state: &mut negotiate::one_round::State,
        arguments: &mut Arguments,
        previous: Option<&Response>,
    ) -> gix::Result<(negotiate::Round, bool)> {
        if self.is_done {
            // gix would ask the same again for ever.
            let ended = io::Error::new(io::ErrorKind::UnexpectedEof, "no pack followed the last round");
            return Err(gix::Error::from_error(ended));
        }
        let (acknowledged, ready) = previous.map_or(Ok((false, false)), |response| self.listen(response))?;
        // A stateless server has forgotten what it acknowledged.
        if self.stateless {
            self.common.iter().for_each(|id| arguments.have(id));
        }
        let is_first_round = mem::replace(&mut self.is_first_round, false);
        let (mut sent, mut exhausted) = (0, false);
        if ready {
            exhausted = true;
        } else if is_first_round {
            self.haves.likely.iter().for_each(|id| arguments.have(to_gix(id)));
            sent = self.haves.likely.len();
            exhausted = self.haves.is_empty() || self.is_limited;
        } else {
            let mut negotiator = match self.negotiator.take() {
                Some(negotiator) => negotiator,
                None => walker(self.odb, &self.haves.tips, &self.common, &mut self.graph)?,
            };
            while sent < state.haves_to_send {
                let Some(id) = negotiator.next_have(&mut self.graph) else {
                    exhausted = true;
                    break;
                };
                arguments.have(id?);
                sent += 1;
            }
            self.negotiator = Some(negotiator);
            state.haves_to_send = window_size(self.stateless, Some(state.haves_to_send));
        }
        self.in_vain = if acknowledged { 0 } else { self.in_vain } + sent;
        let hopeless = !is_first_round && !self.common.is_empty() && self.in_vain >= MAX_IN_VAIN;
        let round = negotiate::Round {
            haves_sent: sent,
            in_vain: self.in_vain,
            haves_to_send: state.haves_to_send,
            previous_response_had_at_least_one_in_common: acknowledged,
        };
        // gix insists that a round without haves is the last one.
        self.is_done = exhausted || hopeless || sent == 0;
        Ok((round, self.is_done))
    }
}

/// Begins to walk from all tips, past what is known to be common.
fn walker<'a>(
    odb: &Handle,
    tips: &[ObjectId],
    common: &IdSet<gix::ObjectId>,
    graph: &mut Graph<'a, 'static>,
) -> gix::Result<Box<dyn Negotiator>> {
    let mut negotiator = Algorithm::Consecutive.into_negotiator();
    for id in tips.iter().map(to_gix).filter(|id| is_commit(odb, id)) {
        negotiator.add_tip(id, graph)?;
    }
    for id in common.iter().filter(|id| is_commit(odb, id)) {
        negotiator.in_common_with_remote(*id, graph)?;
    }
    Ok(negotiator)
}

fn is_commit(odb: &Handle, id: &gix::oid) -> bool {
    odb.header(id).is_ok_and(|header| header.kind() == Kind::Commit)
}
