//! Which channel of the drivers each channel of a contract is.

use engram_image::{Channel, ChannelKind};
use heapless::Vec;

use crate::ChannelError;

/// For each of the contract's channels, in its order, the number of the driver's channel of the same name.
///
/// `given` is the driver's channel of a number, `None` behind the last one.
///
/// # Errors
/// The first channel whose name, unit or range does not fit.
pub(crate) fn order<'a, const N: usize>(
    kind: ChannelKind,
    wanted: impl Iterator<Item = Channel<'a>>,
    given: impl Fn(u8) -> Option<Channel<'a>>,
) -> Result<Vec<u8, N>, ChannelError<'a>> {
    let all = || (0..u8::MAX).map_while(|number| Some((number, given(number)?)));
    for (number, channel) in all() {
        let mut earlier = all().take(usize::from(number));
        if earlier.any(|(_, other)| other.name == channel.name) {
            let name = channel.name;
            return Err(ChannelError::Duplicate { kind, name });
        }
    }
    let mut order = Vec::new();
    for Channel {
        name,
        unit,
        min,
        max,
    } in wanted
    {
        let missing = ChannelError::Missing { kind, name, unit };
        let mut same_name = all().filter(|(_, channel)| channel.name == name);
        let (number, has) = same_name.next().ok_or(missing)?;
        if has.unit != unit {
            return Err(ChannelError::Unit {
                kind,
                name,
                wants: unit,
                gives: has.unit,
            });
        }
        // So written that NaN is refused.
        if !(has.min <= min && max <= has.max) {
            return Err(ChannelError::Range {
                kind,
                name,
                unit,
                wants: [min, max],
                has: [has.min, has.max],
            });
        }
        order.push(number).map_err(|_| missing)?;
    }
    Ok(order)
}
