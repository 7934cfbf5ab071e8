//! Nothing of the item is lost: attributes, documentation, visibility, generics, conditions, patterns, configuration.
#![deny(warnings, unused, missing_docs, unreachable_pub)]

use ironcore_telemetry::instrument_business;
use std::fmt::Debug;
use std::pin::Pin;

/// Items that others see.
pub mod wallets {
    use super::*;

    /// A wallet.
    #[derive(Debug, Default)]
    pub struct Wallet<const SLOTS: usize, T = u8>
    where
        T: Copy,
    {
        slots: Option<[T; SLOTS]>,
    }

    impl<const SLOTS: usize, T> Wallet<SLOTS, T>
    where
        T: Copy + Default + Debug + PartialEq,
    {
        /// Documented.
        #[instrument_business(wallet)]
        #[must_use = "a wallet"]
        #[inline]
        pub fn filled(with: T) -> Self {
            Self { slots: Some([with; SLOTS]) }
        }

        /// Documented.
        #[instrument_business(wallet)]
        #[doc(alias = "clear")]
        pub(crate) fn empty(self: Pin<&mut Self>) -> Option<[T; SLOTS]>
        where
            Self: Unpin,
        {
            self.get_mut().slots.take()
        }

        #[instrument_business(wallet)]
        pub(super) fn count<F, const MORE: usize>(&self, (first, [second, ..]): (T, [T; 3]), mut found: F) -> usize
        where
            F: FnMut(T) -> bool,
        {
            let slots = self.slots.iter().flatten().copied();
            slots.chain([first, second]).filter(|slot| found(*slot)).count() + MORE
        }
    }

    /// Documented.
    #[instrument_business(wallet)]
    #[deprecated = "use another"]
    pub fn old(#[allow(unused_variables)] spare: u8, _: u16, #[cfg(any())] _never: Missing, &kept: &u64) -> u64 {
        kept
    }

    /// Documented.
    ///
    /// # Safety
    /// None.
    #[instrument_business(wallet)]
    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn ironcore_items_wallet_exported(amount: *const u64) -> u64 {
        unsafe { *amount }
    }

    #[instrument_business(wallet)]
    #[cfg(any())]
    fn never() -> Missing {}

    /// Documented.
    #[instrument_business(wallet)]
    #[expect(clippy::let_and_return, reason = "an expectation of the item")]
    #[allow(unfulfilled_lint_expectations)]
    pub async fn later<'a, T: ?Sized + Sync>(#[cfg_attr(all(), allow(unused_mut))] mut value: &'a T) -> &'a T {
        let same = value;
        same
    }
}

/// With a body of its own.
pub trait Signer {
    /// Its error.
    type Error: Debug;

    /// Signs.
    #[instrument_business(wallet)]
    fn sign(&mut self) -> Result<u64, Self::Error> {
        Ok(7)
    }
}

impl Signer for () {
    type Error = ();
}

fn main() {
    let mut wallet = wallets::Wallet::<2>::filled(7);
    assert_eq!(wallet.count::<_, 10>((7, [7, 1, 1]), |slot| slot == 7), 14);
    assert_eq!(Pin::new(&mut wallet).empty(), Some([7, 7]));
    #[expect(deprecated)]
    let kept = wallets::old(1, 2, &3);
    assert_eq!((kept, unsafe { wallets::ironcore_items_wallet_exported(&kept) }), (3, 3));
    assert_eq!(().sign(), Ok(7));
    drop(wallets::later("text"));
    #[expect(unused_must_use)]
    {
        wallets::Wallet::<1>::filled(1);
    }
}
