//! Barriers in shared memory (`mbarrier`).

use super::builder::{Builder, Frame, Result};
use super::opcode::Opcode;
use crate::ast::Operand;
use crate::ops::*;
use crate::types::{Class, Space, Ty};

impl<'a> Builder<'a> {
    /// Decodes an `mbarrier` instruction; false if it is another kind.
    pub(super) fn mbarrier(
        &mut self,
        frame: &mut Frame<'a>,
        mut op: Opcode<'a>,
        operands: &'a [Operand],
    ) -> Result<bool> {
        if op.name != "mbarrier" {
            return Ok(false);
        }
        let unknown = format!("{} is not known", op.text);
        let name = op.find(name).ok_or(&unknown)?;
        let (parity, no_complete) = (op.flag("parity"), op.flag("noComplete"));
        let expects = matches!(name, Name::Arrive | Name::Drop) && op.flag("expect_tx");
        op.ignore(&["release", "acquire", "relaxed", "cta", "cluster"]);
        // Without a space the address is generic; of a cluster only the block itself is there.
        op.find(|s| (Space::from_name(s) == Some(Space::Shared)).then_some(()));
        if op.ty()? != Ty::B64 {
            return Err(unknown);
        }
        op.done()?;
        let mut i = Instruction::new(Op::Nop);
        let one = self.preset(Preset::Word(1), Class::Word)?;
        let (at, kind) = match (name, operands) {
            (Name::Init, [at, count]) => {
                i.b = self.read(frame, count, Ty::U32)?;
                (at, MBarrier::Init)
            }
            (Name::Inval, [at]) => (at, MBarrier::Invalidate),
            (Name::Arrive | Name::Drop, [d, at, rest @ ..]) => {
                i.d = self.write(frame, d, Ty::B64)?;
                i.b = match rest {
                    [] if !expects && !no_complete => one,
                    [count] => self.read(frame, count, Ty::U32)?,
                    _ => return Err(format!("{} operands of {}", operands.len(), op.text)),
                };
                (at, MBarrier::Arrive { drops: name == Name::Drop, expects })
            }
            (Name::ExpectTx | Name::CompleteTx, [at, bytes]) => {
                i.b = self.read(frame, bytes, Ty::U32)?;
                let adds = name == Name::ExpectTx;
                (at, MBarrier::Transfer { adds })
            }
            // The time that a thread may sleep makes no difference here.
            (Name::Wait, [d, at, phase]) | (Name::TryWait, [d, at, phase] | [d, at, phase, _]) => {
                i.d = self.write(frame, d, Ty::Pred)?;
                i.b = self.read(frame, phase, if parity { Ty::U32 } else { Ty::B64 })?;
                (at, MBarrier::TestWait { parity })
            }
            (Name::PendingCount, [d, state]) => {
                i.d = self.write(frame, d, Ty::U32)?;
                i.a = self.read(frame, state, Ty::B64)?;
                i.op = Op::MBarrier(MBarrier::PendingCount, Address::Fixed);
                self.emit(i)?;
                return Ok(true);
            }
            _ => return Err(format!("{} operands of {}", operands.len(), op.text)),
        };
        let address = self.address(frame, at, Space::Shared, &mut i)?.1;
        i.op = Op::MBarrier(kind, address);
        self.emit(i)?;
        Ok(true)
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Name {
    Init,
    Inval,
    Arrive,
    Drop,
    ExpectTx,
    CompleteTx,
    Wait,
    TryWait,
    PendingCount,
}

fn name(name: &str) -> Option<Name> {
    Some(match name {
        "init" => Name::Init,
        "inval" => Name::Inval,
        "arrive" => Name::Arrive,
        "arrive_drop" => Name::Drop,
        "expect_tx" => Name::ExpectTx,
        "complete_tx" => Name::CompleteTx,
        "test_wait" => Name::Wait,
        "try_wait" => Name::TryWait,
        "pending_count" => Name::PendingCount,
        _ => return None,
    })
}
